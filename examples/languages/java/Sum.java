import java.nio.file.*;
public class Sum {
  public static void main(String[] args) throws Exception {
    int sum = Files.readAllLines(Path.of("numbers.txt")).stream().mapToInt(Integer::parseInt).sum();
    Files.writeString(Path.of("result.txt"), Twice.of(sum) + " " + args[0]);
  }
}
