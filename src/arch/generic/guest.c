/*
 * C functions as guests. A program has a thread, but a baton decides who moves: the vCPU inside
 * run() hands it over and waits for it, so that the program stands still whenever its vCPU is
 * outside the guest - paused, stopped, or in a handler.
 */
#include "generic_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What a program wants when it gives the baton back. */
enum wish { WISH_EXIT, WISH_HALT, WISH_WAIT_IRQ, WISH_RELAX, WISH_DONE };

struct generic_guest {
	struct generic_vcpu *vcpu;
	struct ax_thread *thread;
	generic_program_fn *program;
	void *ctx;
	/* The vCPU's lock. */
	bool moving; /* the program has the baton */
	bool dying;
	enum wish wish;
	bool left; /* the wished-for exit was reported; when entered again it is answered */
	struct axvcpu_exit exit;
	uint64_t value;
	uint32_t gsi;
};

/* Program's side, lock held: give the baton and wait for it. Does not return from a dying VM. */
static void ask(struct generic_guest *guest, enum wish wish)
{
	guest->wish = wish;
	guest->left = false;
	guest->moving = false;
	pthread_cond_broadcast(&guest->vcpu->changed);
	while (!guest->moving && !guest->dying)
		pthread_cond_wait(&guest->vcpu->changed, &guest->vcpu->lock);
	if (guest->dying) {
		pthread_mutex_unlock(&guest->vcpu->lock);
		pthread_exit(NULL);
	}
}

static void guest_main(void *arg)
{
	struct generic_guest *guest = arg;
	pthread_mutex_t *lock = &guest->vcpu->lock;

	guest->program(guest, guest->ctx);
	pthread_mutex_lock(lock);
	guest->wish = WISH_DONE;
	guest->moving = false;
	pthread_cond_broadcast(&guest->vcpu->changed);
	pthread_mutex_unlock(lock);
}

static int begin(struct generic_vcpu *vcpu, generic_program_fn *program, void *ctx,
		 struct ax_error *err)
{
	char name[24];
	struct generic_guest *guest = calloc(1, sizeof(*guest));

	if (!guest) {
		ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a guest program");
		return -ENOMEM;
	}
	snprintf(name, sizeof(name), "guest %u", vcpu->index);
	const struct ax_thread_config config = {.name = name};
	guest->vcpu = vcpu;
	guest->program = program;
	guest->ctx = ctx;
	guest->moving = true;
	int rc = ax_thread_start(&config, guest_main, guest, &guest->thread, err);
	if (rc < 0) {
		free(guest);
		return rc;
	}
	vcpu->guest = guest;
	return 0;
}

static void wait_for_baton(struct generic_guest *guest)
{
	while (guest->moving)
		pthread_cond_wait(&guest->vcpu->changed, &guest->vcpu->lock);
}

enum generic_turn generic_guest_turn(struct generic_vcpu *vcpu, generic_program_fn *program,
				     void *ctx, bool *ret_over, struct ax_error *err)
{
	struct generic_guest *guest = vcpu->guest;
	enum generic_turn turn;
	bool granted = true;

	if (!guest) {
		if (begin(vcpu, program, ctx, err) < 0)
			return GENERIC_TURN_FAIL;
		wait_for_baton(vcpu->guest);
		return GENERIC_TURN_AGAIN;
	}
	switch (guest->wish) {
	case WISH_EXIT:
		if (!guest->left) {
			guest->left = true;
			turn = generic_vcpu_leave(vcpu, &guest->exit, guest->value);
			if (turn == GENERIC_TURN_EXIT)
				return turn;
		}
		break;
	case WISH_HALT:
		turn = generic_halt_turn(vcpu, &granted);
		if (!granted)
			return turn;
		break;
	case WISH_WAIT_IRQ:
		granted = generic_vm_take_edge(vcpu->vm, guest->gsi);
		atomic_store(&vcpu->halted, !granted);
		if (!granted)
			return GENERIC_TURN_POLL;
		break;
	case WISH_RELAX: /* a kick, if there was one, has been seen on the way here */
		break;
	case WISH_DONE:
		ax_thread_join(guest->thread);
		free(guest);
		vcpu->guest = NULL;
		*ret_over = true;
		return GENERIC_TURN_AGAIN;
	}
	guest->moving = true;
	pthread_cond_broadcast(&vcpu->changed);
	wait_for_baton(guest);
	return GENERIC_TURN_AGAIN;
}

void generic_guest_end(struct generic_vcpu *vcpu)
{
	struct generic_guest *guest = vcpu->guest;

	if (!guest)
		return;
	pthread_mutex_lock(&vcpu->lock);
	guest->dying = true;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
	ax_thread_join(guest->thread);
	free(guest);
	vcpu->guest = NULL;
}

/* ---- what a program can do ------------------------------------------------------------------- */

/* Leave, come back, and say what the answer was. */
static uint64_t leave(struct generic_guest *guest, const struct axvcpu_exit *exit, uint64_t value,
		      bool *ret_faulted)
{
	pthread_mutex_lock(&guest->vcpu->lock);
	guest->exit = *exit;
	guest->value = value;
	ask(guest, WISH_EXIT);
	uint64_t answer = guest->vcpu->answer;
	if (ret_faulted)
		*ret_faulted = guest->vcpu->answer_faulted;
	pthread_mutex_unlock(&guest->vcpu->lock);
	return answer;
}

uint64_t generic_guest_load(struct generic_guest *guest, uint64_t gpa, uint8_t width)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_MMIO_READ};
	uint64_t value;

	if (generic_vm_load(guest->vcpu->vm, gpa, width, &value))
		return value;
	exit.mmio.gpa = gpa;
	exit.mmio.width = width;
	return leave(guest, &exit, 0, NULL);
}

void generic_guest_store(struct generic_guest *guest, uint64_t gpa, uint8_t width, uint64_t value)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_MMIO_WRITE};

	if (generic_vm_store(guest->vcpu->vm, gpa, width, value))
		return;
	exit.mmio.gpa = gpa;
	exit.mmio.width = width;
	leave(guest, &exit, value, NULL);
}

bool generic_guest_read(struct generic_guest *guest, uint64_t gpa, void *buf, size_t len)
{
	return generic_vm_read(guest->vcpu->vm, gpa, buf, len);
}

bool generic_guest_write(struct generic_guest *guest, uint64_t gpa, const void *buf, size_t len)
{
	return generic_vm_write(guest->vcpu->vm, gpa, buf, len);
}

uint64_t generic_guest_in(struct generic_guest *guest, uint16_t port, uint8_t width)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_IO_READ};

	exit.io.port = port;
	exit.io.width = width;
	exit.io.count = 1;
	return leave(guest, &exit, 0, NULL);
}

void generic_guest_out(struct generic_guest *guest, uint16_t port, uint8_t width, uint64_t value)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_IO_WRITE};

	exit.io.port = port;
	exit.io.width = width;
	exit.io.count = 1;
	leave(guest, &exit, value, NULL);
}

uint64_t generic_guest_hypercall(struct generic_guest *guest, uint64_t nr, const uint64_t args[6])
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_HYPERCALL};

	exit.hypercall.nr = nr;
	for (size_t i = 0; i < 6; i++)
		exit.hypercall.args[i] = args[i];
	return leave(guest, &exit, 0, NULL);
}

bool generic_guest_sysreg_read(struct generic_guest *guest, uint64_t reg, uint64_t *ret_value)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_SYSREG_READ};
	bool faulted;

	exit.sysreg.reg = reg;
	uint64_t value = leave(guest, &exit, 0, &faulted);
	if (!faulted)
		*ret_value = value;
	return !faulted;
}

bool generic_guest_sysreg_write(struct generic_guest *guest, uint64_t reg, uint64_t value)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_SYSREG_WRITE};
	bool faulted;

	exit.sysreg.reg = reg;
	exit.sysreg.value = value;
	leave(guest, &exit, 0, &faulted);
	return !faulted;
}

static void wish_for(struct generic_guest *guest, enum wish wish, uint32_t gsi)
{
	pthread_mutex_lock(&guest->vcpu->lock);
	guest->gsi = gsi;
	ask(guest, wish);
	pthread_mutex_unlock(&guest->vcpu->lock);
}

void generic_guest_halt(struct generic_guest *guest)
{
	wish_for(guest, WISH_HALT, 0);
}

void generic_guest_wait_irq(struct generic_guest *guest, uint32_t gsi)
{
	wish_for(guest, WISH_WAIT_IRQ, gsi);
}

void generic_guest_relax(struct generic_guest *guest)
{
	wish_for(guest, WISH_RELAX, 0);
}
