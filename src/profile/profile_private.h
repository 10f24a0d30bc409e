/* The profiles there are, one file each; profile.c lists them. */
#ifndef AXVM_PROFILE_PRIVATE_H
#define AXVM_PROFILE_PRIVATE_H

#include <axvm/profile.h>

extern const struct axprof axprof_generic;
extern const struct axprof axprof_xv2;

#endif
