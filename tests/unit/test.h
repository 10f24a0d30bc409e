/*
 * What every unit test includes: cmocka and the headers it needs before itself.
 * Checks are made on the thread that runs the test only; other threads leave their findings in
 * variables (cmocka's asserts jump).
 */
#ifndef AXVM_TESTS_TEST_H
#define AXVM_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
