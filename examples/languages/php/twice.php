<?php
function twice(int $number): int
{
    return 2 * $number;
}
