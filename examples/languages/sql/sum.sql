-- the numbers of a file, twice their sum
CREATE TABLE numbers (number INTEGER);
.import numbers.txt numbers
.output result.txt
SELECT 2 * sum(number) FROM numbers;
