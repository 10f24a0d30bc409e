/*
 * A vCPU's registers as text, for the report of a failure: general and control registers, segments,
 * and the code bytes at RIP where they are in mapped memory.
 */
#include "kvm_x86.h"

#include <inttypes.h>
#include <sys/ioctl.h>

static void put_segment(struct axarch_text *text, const char *name, const struct kvm_segment *s)
{
	axarch_put(text, "%s %04x base %016" PRIx64 " limit %08x type %x%s%s%s%s dpl %u\n", name,
		   s->selector, (uint64_t)s->base, s->limit, s->type,
		   s->unusable ? " unusable" : "", s->present ? " present" : "",
		   s->l ? " long" : "", s->db ? " 32-bit" : "", s->dpl);
}

/* Translates as the guest does at the moment, by KVM; memory that is not there ends the line. */
static void put_code(struct axarch_text *text, const struct x86_vcpu *vcpu, uint64_t address)
{
	struct kvm_translation where = {.linear_address = address};
	uint8_t byte;

	axarch_put(text, "code at %016" PRIx64 ":", address);
	for (unsigned i = 0; i < 16; i++) {
		where.linear_address = address + i;
		if (!vcpu->vm->memory ||
		    ioctl(axkvm_vcpu_fd(vcpu->kvm), KVM_TRANSLATE, &where) < 0 || !where.valid ||
		    axas_read(vcpu->vm->memory, where.physical_address, &byte, 1) < 0) {
			axarch_put(text, " ..");
			break;
		}
		axarch_put(text, " %02x", byte);
	}
	axarch_put(text, "\n");
}

void x86_vcpu_dump(void *impl, char *buf, size_t buf_size)
{
	const struct x86_vcpu *vcpu = impl;
	struct axarch_text text = {.buf = buf, .size = buf_size};
	struct kvm_regs r;
	struct kvm_sregs s;
	int fd = axkvm_vcpu_fd(vcpu->kvm);

	if (!buf_size)
		return;
	buf[0] = '\0';
	if (ioctl(fd, KVM_GET_REGS, &r) < 0 || ioctl(fd, KVM_GET_SREGS, &s) < 0) {
		axarch_put(&text, "vCPU %u: its registers cannot be read\n", vcpu->index);
		return;
	}
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"rax", r.rax}, {"rbx", r.rbx}, {"rcx", r.rcx},    {"rdx", r.rdx},  {"rsi", r.rsi},
		{"rdi", r.rdi}, {"rbp", r.rbp}, {"rsp", r.rsp},    {"r8 ", r.r8},   {"r9 ", r.r9},
		{"r10", r.r10}, {"r11", r.r11}, {"r12", r.r12},    {"r13", r.r13},  {"r14", r.r14},
		{"r15", r.r15}, {"rip", r.rip}, {"flg", r.rflags}, {"cr0", s.cr0},  {"cr2", s.cr2},
		{"cr3", s.cr3}, {"cr4", s.cr4}, {"cr8", s.cr8},    {"efr", s.efer},
	};
	axarch_put(&text, "vCPU %u (APIC id %u)\n", vcpu->index, vcpu->apic_id);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		axarch_put(&text, "%s %016" PRIx64 "%s", rows[i].name, rows[i].value,
			   i % 4 == 3 ? "\n" : "  ");
	put_segment(&text, "cs", &s.cs);
	put_segment(&text, "ss", &s.ss);
	put_segment(&text, "ds", &s.ds);
	put_segment(&text, "es", &s.es);
	put_segment(&text, "fs", &s.fs);
	put_segment(&text, "gs", &s.gs);
	put_segment(&text, "tr", &s.tr);
	axarch_put(&text,
		   "gdt base %016" PRIx64 " limit %04x  idt base %016" PRIx64 " limit %04x\n",
		   (uint64_t)s.gdt.base, s.gdt.limit, (uint64_t)s.idt.base, s.idt.limit);
	put_code(&text, vcpu, s.cs.base + r.rip);
}
