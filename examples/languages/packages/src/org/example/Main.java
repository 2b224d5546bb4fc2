package org.example;

import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.commons.lang3.StringUtils;
import org.example.numbers.Numbers;

public class Main {
    public static void main(String[] arguments) throws Exception {
        int sum = Numbers.sum(Files.readAllLines(Path.of("numbers.txt")));
        Files.writeString(Path.of("result.txt"), sum + " " + StringUtils.reverse(arguments[0]));
    }
}
