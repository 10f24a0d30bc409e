/* Whether two hosts are one to whoever reads their facts. */
#ifndef AXVM_TESTS_UNIT_HOST_SAME_H
#define AXVM_TESTS_UNIT_HOST_SAME_H

#include <axvm/host.h>

void assert_same_facts(const struct axhost_facts *a, const struct axhost_facts *b);

#endif
