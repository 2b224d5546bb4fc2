package My::Twice;
sub twice { 2 * shift }
1;
