x = load('numbers.txt');
f = fopen('result.txt', 'w');
fprintf(f, '%d\n', twice(sum(x)));
fclose(f);
