# The front door: what is typed most often. The build itself is meson's; tests/run, tools/lint and
# bench/run can be called on their own.
#
#   BUILD=dir      the release build (default: build)
#   PREFIX, DESTDIR  for install
#   QUICK=1        make test without the sanitizers' builds and the fuzz targets
#   FUZZ_SECONDS   for each target of make fuzz (default: 60)

BUILD        ?= build
PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := all
.PHONY: all help deps demo test check lint bench install fuzz clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing; run 'make deps' as root first" >&2; exit 1; }
	@meson setup $(BUILD) --prefix=$(PREFIX)

help:
	@echo 'make            build the release into $(BUILD)/'
	@echo 'make deps       install the Debian packages that are missing (as root)'
	@echo 'make demo       boot a Linux guest to a shell, with disk and two CPUs'
	@echo 'make test       every test: unit (also under ASan+UBSan and TSan), payloads, boots'
	@echo '                QUICK=1 leaves out the sanitizers'
	@echo 'make lint       format, clang-tidy, shellcheck, the layers, the manual'
	@echo 'make bench      the figures, each beside a peer in the same run'
	@echo 'make fuzz       every libFuzzer target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make install    PREFIX=$(PREFIX), DESTDIR'
	@echo 'make clean      remove the build directories'

deps:
	@tools/deps

# Fresh machines come without a compiler: first the packages, then the build.
demo: deps
	@$(MAKE) --no-print-directory all
	@AXVM_BUILD=$(abspath $(BUILD)) tools/demo

test check: deps
	@tests/run --build $(BUILD) $(if $(QUICK),--quick)

lint: deps
	@tools/lint $(BUILD)

bench: deps
	@$(MAKE) --no-print-directory all
	@AXVM_BUILD=$(abspath $(BUILD)) bench/run

fuzz: deps
	@tests/fuzz/run --seconds $(FUZZ_SECONDS)

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet
	@echo "installed under $(DESTDIR)$(PREFIX)"

clean:
	rm -rf $(BUILD) build-*
