# make, or make help: what there is to do here.

SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The pinned Node from npm, not the one on PATH, runs everything.
MACHINE := $(shell uname -m)
HOST_ARCH := $(MACHINE:x86_64=x64)
HOST_ARCH := $(HOST_ARCH:aarch64=arm64)
NODE := node_modules/node-linux-$(HOST_ARCH)/bin/node
BIOME = $(NODE) node_modules/@biomejs/biome/bin/biome
SETUP := node_modules/.installed-lock.json
# What is built for: make build ARCH=x64 or arm64. Not this machine's: into a directory of its own, with the help of qemu.
ARCH := $(HOST_ARCH)
ifneq ($(ARCH),$(HOST_ARCH))
ifneq ($(filter-out build,$(MAKECMDGOALS)),)
$(error ARCH is only for make build; make test-arm64 tests the executable for arm64)
endif
endif
DIST := $(patsubst %/$(HOST_ARCH),%,dist/$(ARCH))
PRODUCT := $(DIST)/x-calico-route
# scripts/helm-deps.sh builds it, if there is Go
HELM := .cache/helm/bin/helm
# What the executable starts from: snapshot, or plain for source text (scripts/build/snapshot/README.md); and what the one in dist was asked to.
START ?= snapshot
BUILT := $(shell sed -n 's/^{"start":{"asked":"\([a-z]*\)".*/\1/p' $(DIST)/meta.json 2>/dev/null)
SOURCES := $(shell find src scripts/build scripts/build.ts -name '*.ts' -o -name '*.sh')
SHELL_SCRIPTS = $(shell grep -rlE '^\#!.*\b(ba)?sh\b' --exclude-dir=node_modules .ci kind scripts src test)

# $(call vitest,TIER): the report is for .ci/run to add up. `make t` sets the variables, for a part of the tier.
vitest = $(NODE) node_modules/vitest/vitest.mjs run --project $(1) $(if $(XCR_TEST_FILES),$(PART),$(WHOLE))
PART = $(XCR_TEST_FILES) --hideSkippedTests $(if $(value XCR_TEST_TITLE),--testNamePattern "$$XCR_TEST_TITLE")
WHOLE = --reporter=dot --reporter=json --outputFile.json=.reports/$(1).json
# Namespaces made in there end with it, whatever happens.
SANDBOX := scripts/sandbox.sh

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-17s%s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(SETUP) ## install the locked dependencies and the pinned Node

# The lock's content decides, not its date: a checkout changes dates. flock: another make may be at it.
# Not `npm ci`: it refuses a lock without the packages of other platforms, which npm leaves out where its registry has none.
# Versions and hashes are the lock's all the same.
$(SETUP): package-lock.json
	@case $(HOST_ARCH) in x64 | arm64) ;; *) echo 'There is no pinned Node for $(MACHINE), only for x86_64 and aarch64.' >&2; exit 1 ;; esac
	@command -v npm >/dev/null || { echo 'npm is missing; it is needed to install, no more: apt-get install npm' >&2; exit 1; }
	@flock package-lock.json sh -c 'cmp -s package-lock.json $@ && test -x $(NODE) || \
	  { npm install --no-save --loglevel=error && cp package-lock.json $@; }'
	@test -x $(NODE) || { rm -f $@; echo '$(NODE) is missing: npm leaves an optional dependency out when' \
	  'its download or its hash is wrong, or when told so (--omit=optional).' >&2; exit 1; }
	@touch $@

.PHONY: build
build: $(PRODUCT) ## build dist/x-calico-route; START=plain ARCH=arm64

$(PRODUCT): $(SOURCES) package.json $(SETUP) $(if $(filter-out $(START),$(BUILT)),FORCE)
	@flock package.json $(NODE) scripts/build.ts --start $(START) --arch $(ARCH)

FORCE:

.PHONY: demo
demo: build ## two NICs before and after, by packets on this kernel
	@$(SANDBOX) $(NODE) scripts/demo.ts

.PHONY: demo-recording
demo-recording: build ## record it as docs/demo.svg
	@$(SANDBOX) $(NODE) scripts/demo-recording.ts

.PHONY: test
test: lint test-unit test-manifests test-executable test-cli test-netns test-faults test-fuzz test-conformance ## everything that needs no container runtime

.PHONY: t
# What stands in T reaches the script as it is, a "$" too.
t: override export T := $(value T)
t: setup ## one test of any tier: T='part of its file name or title'
	@$(NODE) scripts/one-test.ts "$$T"

.PHONY: test-unit
test-unit: setup ## what the plugin decides; no root, half a minute
	@$(call vitest,unit)

.PHONY: test-manifests
test-manifests: setup ## examples, DaemonSet, chart, KinD, .github; no root
	@scripts/helm-deps.sh
	@$(call vitest,manifests)

.PHONY: test-executable
test-executable: build ## what the executable is made of and needs
	@$(SANDBOX) $(call vitest,executable)

.PHONY: test-cli
test-cli: build ## validate, plan, verify, schema, install
	@$(SANDBOX) $(call vitest,cli)

.PHONY: test-netns
test-netns: build ## every verb on the real kernel
	@$(SANDBOX) $(call vitest,netns)

.PHONY: test-faults
test-faults: build ## every step fails once, in every way; killed at any time
	@$(SANDBOX) $(call vitest,faults)

.PHONY: test-fuzz
test-fuzz: build ## random input, routing tables and interleavings
	@$(SANDBOX) $(call vitest,fuzz)

.PHONY: test-conformance
test-conformance: build ## the CNI specification, vector by vector
	@$(SANDBOX) $(call vitest,conformance)

# On another machine than one for arm64: what starts it there, and of the CNI specification what is not all JavaScript.
ARM64 := dist/x-calico-route
ARM64_PLUGIN := $(ARM64)
ifneq ($(HOST_ARCH),arm64)
ARM64 := dist/arm64/x-calico-route
ARM64_PLUGIN := test/arm64/x-calico-route
endif
ARM64_TESTS = test/arm64 test/executable/libraries $(if $(FULL),test/conformance,$(addprefix test/conformance/,\
  check del environment gc-status netns process result-changed stdin version-verb))
# A start under qemu is half a second of a CPU: with more at once than processors, calls would run into their time limits.
ARM64_OPTIONS = --project conformance --project executable --maxWorkers=$(shell nproc) --maxConcurrency=1
.PHONY: test-arm64
test-arm64: ## the executable for arm64, under qemu elsewhere; FULL=1
	@$(MAKE) build ARCH=arm64
	@XCR_PLUGIN=$(CURDIR)/$(ARM64_PLUGIN) XCR_EXECUTABLE=$(CURDIR)/$(ARM64) $(SANDBOX) \
	  $(call vitest,arm64) $(ARM64_OPTIONS) $(if $(XCR_TEST_FILES),,$(ARM64_TESTS))

.PHONY: e2e
e2e: build ## real runtimes, which it installs; root
	@scripts/e2e-deps.sh
	@$(call vitest,e2e)

.PHONY: test-cluster
test-cluster: build ## a real Kubernetes, which it builds first; root; FULL=1
	@scripts/cluster-deps.sh
	@FULL=$(FULL) $(call vitest,cluster)

.PHONY: cluster
cluster: build ## such a Kubernetes, and a shell on its node
	@scripts/cluster-deps.sh
	@$(NODE) scripts/cluster.ts

.PHONY: bench
bench: build ## time and memory of a call, alone and in storms; ONLY=
	@$(NODE) scripts/bench.ts

.PHONY: soak
soak: build ## pods' lives by thousands; CYCLES= NAMESPACES= AT_ONCE=
	@CYCLES=$(CYCLES) NAMESPACES=$(NAMESPACES) AT_ONCE=$(AT_ONCE) $(SANDBOX) $(NODE) scripts/soak.ts

.PHONY: schemas
schemas: setup ## schemas anew, after a change of kind/versions.env; Go
	@$(NODE) scripts/schemas.ts

.PHONY: kind
kind: ## a KinD cluster with everything, checked by packets
	@kind/up.sh
	@kind/check.sh

.PHONY: kind-down
kind-down: ## remove that cluster
	@kind/down.sh

.PHONY: release
release: build ## archive, checksums, SBOM and notes, into dist/release
	@$(NODE) scripts/release.ts $(if $(DRY_RUN),--dry-run)

# Each machine of ARCHS, by the names that images have for them. scripts/image/archive.sh says what else may be given.
ARCHS ?= amd64 arm64
.PHONY: image
image: ## dist/image.tar for both architectures; TAG= ARCHS=
	@for arch in $(ARCHS); do $(MAKE) --silent build ARCH=$${arch/amd64/x64} || exit; done
	@TAG='$(TAG)' ARCHS='$(ARCHS)' BASE='$(BASE)' SOURCE='$(SOURCE)' scripts/image/archive.sh

.PHONY: lint-workflows
lint-workflows: ## actionlint over .github/workflows; Go
	@if command -v go >/dev/null; then cd .github/tools && go tool actionlint ../workflows/*.yaml; \
	else echo 'no Go on this machine: workflows unchecked' >&2; [ "$(CI)" != true ]; fi

.PHONY: lint-charts
lint-charts: ## helm lint and template over charts; builds helm first; Go
	@scripts/helm-deps.sh
	@[ ! -x $(HELM) ] || { $(HELM) lint --strict --quiet charts/* && $(HELM) template charts/* -n kube-system >/dev/null; }

.PHONY: audit
audit: setup ## known vulnerabilities of the locked packages
	@out=$$(npm audit --audit=true --omit=optional 2>&1); status=$$?; printf '%s\n' "$$out"; \
	if grep -qE 'audit endpoint returned an error|40[45] ' <<<"$$out"; then \
	  echo 'NOT AUDITED: this registry has no audit endpoint; run it against one that has' >&2; exit 1; fi; exit $$status

.PHONY: lint
lint: setup ## style, layering, types, shell scripts
	@$(BIOME) check --error-on-warnings
	@$(NODE) node_modules/typescript/bin/tsc
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_SCRIPTS); else echo 'shellcheck is not installed: shell scripts unchecked'; fi

.PHONY: format
format: setup ## let biome rewrite what it can
	@$(BIOME) check --write

.PHONY: clean
clean: ## remove what was built and downloaded
	@rm -rf dist .reports .cache node_modules
