/* half.h — IEEE 754 half precision (1 sign, 5 exponent, 10 fraction bits) and bfloat16 as bit
 * patterns. */
#ifndef HALF_H
#define HALF_H

#include <stdint.h>

uint16_t half_from_float(float x);    /* nearest, ties to even; from 65520 on infinity */
float    half_to_float(uint16_t h);   /* exact */
float    bfloat16_to_float(uint16_t h);

#endif
