<?php
require 'twice.php';

$numbers = file('numbers.txt');
file_put_contents('result.txt', twice(array_sum(array_map('intval', $numbers))) . "\n");
