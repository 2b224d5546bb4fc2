#include <stdio.h>
#include <gsl/gsl_sf_bessel.h>
#include "twice.h"
int main(int argc, char **argv) {
    FILE *in = fopen("numbers.txt", "r"), *out = fopen("result.txt", "w");
    int n, sum = 0;
    while (fscanf(in, "%d", &n) == 1) sum += twice(n);
    fprintf(out, "%d %.3f\n", sum, gsl_sf_bessel_J0(0.0));
    return 0;
}
