package org.example.numbers;

import java.util.List;

public class Numbers {
    public static int sum(List<String> lines) {
        return lines.stream().mapToInt(Integer::parseInt).sum();
    }
}
