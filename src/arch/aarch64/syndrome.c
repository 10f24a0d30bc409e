/*
 * Fault syndromes of an access that KVM could not decode (Arm DDI 0487, ESR_EL2, ISS of a data
 * abort): what kind of access it was, as a portable exit.
 */
#include "aarch64.h"

#define ISS_WNR (1u << 6) /* write, not read */
#define ISS_CM  (1u << 8) /* cache maintenance: reported as a write, writes nothing */

void a64_decode_nisv(uint64_t iss, uint64_t gpa, struct axvcpu_exit *exit)
{
	exit->kind = AXVCPU_EXIT_NESTED_PAGE_FAULT;
	exit->fault.gpa = gpa;
	exit->fault.access = iss & ISS_CM ? 0 : iss & ISS_WNR ? AXAS_WRITE : AXAS_READ;
}
