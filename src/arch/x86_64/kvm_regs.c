/*
 * The registers of a vCPU: loading its start state, the entry point, and single registers by their
 * hardware number (0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, 8..15).
 */
#include "kvm_x86.h"

#include <errno.h>
#include <stddef.h>

#define RFLAGS_ALWAYS 0x2u /* bit 1 reads as one */

static int get_regs(const struct x86_vcpu *vcpu, struct kvm_regs *regs, struct ax_error *err)
{
	return x86_vcpu_ioctl(vcpu, KVM_GET_REGS, regs, "KVM_GET_REGS", AX_ERROR_REGISTER_ACCESS,
			      err);
}

static int set_regs(const struct x86_vcpu *vcpu, struct kvm_regs *regs, struct ax_error *err)
{
	return x86_vcpu_ioctl(vcpu, KVM_SET_REGS, regs, "KVM_SET_REGS", AX_ERROR_REGISTER_ACCESS,
			      err);
}

static struct kvm_segment to_kvm(const struct x86_segment *from)
{
	return (struct kvm_segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.type = from->type,
		.present = from->present,
		.dpl = from->dpl,
		.db = from->db,
		.s = from->s,
		.l = from->l,
		.g = from->g,
		.unusable = !from->present,
	};
}

static void set_real_cs(struct kvm_sregs *sregs, uint16_t selector)
{
	sregs->cs.selector = selector;
	sregs->cs.base = (uint64_t)selector << 4;
}

static int load_sregs(struct x86_vcpu *vcpu, struct ax_error *err)
{
	const struct x86_start *start = &vcpu->vm->start;
	const struct x86_sregs *preset = x86_start_sregs(start->mode);
	struct kvm_sregs sregs;

	/* Read first: the APIC base and what else is KVM's own stays as it is. */
	int ret = x86_vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS", AX_ERROR_BOOT_STATE,
				 err);
	if (ret < 0)
		return ret;
	sregs.cs = to_kvm(&preset->cs);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = to_kvm(&preset->data);
	sregs.tr = to_kvm(&preset->tr);
	sregs.ldt = to_kvm(&preset->ldt);
	sregs.gdt = (struct kvm_dtable){.base = preset->gdt_base, .limit = preset->gdt_limit};
	sregs.idt = (struct kvm_dtable){.base = preset->idt_base, .limit = preset->idt_limit};
	sregs.cr0 = preset->cr0;
	sregs.cr3 = preset->cr3;
	sregs.cr4 = preset->cr4;
	sregs.efer = preset->efer;
	if (start->mode == X86_START_REAL)
		set_real_cs(&sregs, start->real_cs);
	return x86_vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS", AX_ERROR_BOOT_STATE,
			      err);
}

int x86_vcpu_load_start(struct x86_vcpu *vcpu, struct ax_error *err)
{
	const struct x86_start *start = &vcpu->vm->start;
	struct kvm_regs regs = {
		.rip = start->rip,
		.rsp = start->rsp,
		.rsi = start->rsi,
		.rbx = start->rbx,
		.rflags = RFLAGS_ALWAYS,
	};
	int ret = load_sregs(vcpu, err);
	return ret < 0 ? ret : set_regs(vcpu, &regs, err);
}

int x86_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err)
{
	struct x86_vcpu *vcpu = impl;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int ret = x86_vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS",
				 AX_ERROR_REGISTER_ACCESS, err);
	if (ret == 0)
		ret = get_regs(vcpu, &regs, err);
	if (ret < 0)
		return ret;
	regs.rip = entry;
	if (!(sregs.cr0 & 1)) {
		if (entry >= AX_MIB)
			return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, ERANGE,
					    "entry 0x%llx is beyond the megabyte of real mode",
					    (unsigned long long)entry);
		/* Real mode reaches a megabyte by CS; the offset stays below 64 KiB. */
		set_real_cs(&sregs, (uint16_t)(entry >> 4 & 0xf000));
		regs.rip = entry & 0xffff;
		ret = x86_vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS",
				     AX_ERROR_REGISTER_ACCESS, err);
		if (ret < 0)
			return ret;
	}
	return set_regs(vcpu, &regs, err);
}

/* KVM's struct is not in the order of the hardware's numbers. */
static const uint8_t gpr_offset[16] = {
	offsetof(struct kvm_regs, rax), offsetof(struct kvm_regs, rcx),
	offsetof(struct kvm_regs, rdx), offsetof(struct kvm_regs, rbx),
	offsetof(struct kvm_regs, rsp), offsetof(struct kvm_regs, rbp),
	offsetof(struct kvm_regs, rsi), offsetof(struct kvm_regs, rdi),
	offsetof(struct kvm_regs, r8),  offsetof(struct kvm_regs, r9),
	offsetof(struct kvm_regs, r10), offsetof(struct kvm_regs, r11),
	offsetof(struct kvm_regs, r12), offsetof(struct kvm_regs, r13),
	offsetof(struct kvm_regs, r14), offsetof(struct kvm_regs, r15),
};

static int check_index(unsigned index, struct ax_error *err)
{
	if (index < AX_ARRAY_LEN(gpr_offset))
		return 0;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EINVAL,
			    "general register %u is asked for, x86_64 has 0 to 15", index);
}

static uint64_t *gpr(struct kvm_regs *regs, unsigned index)
{
	return (uint64_t *)(void *)((char *)regs + gpr_offset[index]);
}

int x86_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err)
{
	struct kvm_regs regs;
	int ret = check_index(index, err);
	if (ret == 0)
		ret = get_regs(impl, &regs, err);
	if (ret < 0)
		return ret;
	*gpr(&regs, index) = value;
	return set_regs(impl, &regs, err);
}

int x86_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err)
{
	struct kvm_regs regs;
	int ret = check_index(index, err);
	if (ret == 0)
		ret = get_regs(impl, &regs, err);
	if (ret < 0)
		return ret;
	*ret_value = *gpr(&regs, index);
	return 0;
}

int x86_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err)
{
	return x86_vcpu_set_gpr(impl, 0, value, err);
}
