/*
 * SBI calls that KVM hands to userspace: the console's, and those of the experimental and vendor
 * ranges, one of which is AxVM's. Says what a call wants; doing it is the native half's.
 * RISC-V Supervisor Binary Interface Specification 2.0, chapters 4, 5 and 12.
 */
#include "riscv64.h"

#include <errno.h>

enum { EXT_PUTCHAR = 0x01, EXT_GETCHAR = 0x02, EXT_BASE = 0x10, EXT_DBCN = 0x4442434e };
enum { BASE_PROBE = 3 };
enum { DBCN_WRITE = 0, DBCN_READ = 1, DBCN_WRITE_BYTE = 2 };

static struct rv64_sbi_result answer(int64_t error, uint64_t value)
{
	return (struct rv64_sbi_result){
		.kind = RV64_SBI_ANSWER,
		.a0 = (uint64_t)error,
		.a1 = value,
	};
}

/* Legacy calls answer in a0 alone and leave a1. Input belongs to the serial port's driver. */
static struct rv64_sbi_result legacy(const struct rv64_sbi_call *call, bool has_console)
{
	struct rv64_sbi_result result = answer(RV64_SBI_NOT_SUPPORTED, call->args[1]);

	if (call->extension == EXT_GETCHAR) {
		result.a0 = (uint64_t)-1;
	} else if (has_console) {
		result.kind = RV64_SBI_PUT;
		result.a0 = RV64_SBI_SUCCESS;
		result.byte = (uint8_t)call->args[0];
	}
	return result;
}

static struct rv64_sbi_result debug_console(const struct rv64_sbi_call *call, bool has_console)
{
	struct rv64_sbi_result result = answer(RV64_SBI_SUCCESS, 0);

	if (!has_console)
		return answer(RV64_SBI_NOT_SUPPORTED, 0);
	switch (call->function) {
	case DBCN_WRITE:
		if (call->args[2]) /* the upper half of 128 address bits */
			return answer(RV64_SBI_INVALID_PARAM, 0);
		result.kind = RV64_SBI_WRITE;
		result.bytes = call->args[0];
		result.gpa = call->args[1];
		return result;
	case DBCN_READ:
		return result; /* never a byte, see above */
	case DBCN_WRITE_BYTE:
		result.kind = RV64_SBI_PUT;
		result.byte = (uint8_t)call->args[0];
		return result;
	default:
		return answer(RV64_SBI_NOT_SUPPORTED, 0);
	}
}

void rv64_sbi_decode(const struct rv64_sbi_call *call, bool has_console,
		     struct rv64_sbi_result *ret_result)
{
	switch (call->extension) {
	case EXT_PUTCHAR:
	case EXT_GETCHAR:
		*ret_result = legacy(call, has_console);
		return;
	case EXT_BASE:
		/* KVM asks us about the two ranges that it forwards. */
		*ret_result = call->function == BASE_PROBE
				      ? answer(RV64_SBI_SUCCESS, call->args[0] == RV64_SBI_AXVM)
				      : answer(RV64_SBI_NOT_SUPPORTED, 0);
		return;
	case EXT_DBCN:
		*ret_result = debug_console(call, has_console);
		return;
	case RV64_SBI_AXVM:
		*ret_result = answer(RV64_SBI_SUCCESS, 0);
		ret_result->kind = RV64_SBI_HYPERCALL;
		return;
	default:
		*ret_result = answer(RV64_SBI_NOT_SUPPORTED, 0);
	}
}

void rv64_sbi_hypercall_answer(uint64_t ret, uint64_t *ret_a0, uint64_t *ret_a1)
{
	const int64_t error = ret == (uint64_t)-ENOSYS ? RV64_SBI_NOT_SUPPORTED : RV64_SBI_SUCCESS;

	*ret_a0 = (uint64_t)error;
	*ret_a1 = ret;
}
