# Image generation in C: `make` prints what there is. Everything is built under build/.

# ---- what may be set on the command line ------------------------------------------------------
ifeq ($(origin CC),default)
CC = gcc
endif
OPENMP  ?= 1      # 0: one thread
VECTOR  ?=        # bytes in a vector: 16, 32 or 64; empty: what this processor has
CHECK   ?=        # 1: stop at the op that makes the first non-finite number
MPI     ?=        # 1: several processes can share a training (mpirun)
CHAPTER ?= *      # for test-chapter
BUILD   ?= build
FREETYPE ?= /usr/include/freetype2   # the folder of ft2build.h

CHAPTERS := $(notdir $(patsubst %/,%,$(dir $(wildcard chapters/*/main.c))))

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Wno-psabi
CFLAGS ?= -O3 -march=native -g
# sqrt need not set errno, so that it is one instruction on a vector; results are the same
FLAGS   = -std=gnu17 -fno-math-errno $(WARN) $(CFLAGS) -Icommon -Itests -isystem $(FREETYPE)
LIBS    = -lcjson -lfreetype -lz -lm

ifeq ($(strip $(OPENMP)),1)
FLAGS += -fopenmp
# GCC's runtime: see sleep_when_waiting in common/kernels/threads.c
GOMP  := $(if $(findstring clang,$(CC)),,$(filter /%,$(shell $(CC) -print-file-name=libgomp.a)))
LIBS  += $(GOMP:%=-Wl,--as-needed %)
endif
ifneq ($(strip $(VECTOR)),)
FLAGS += -DVEC_BYTES=$(strip $(VECTOR))
endif
ifeq ($(strip $(CHECK)),1)
FLAGS += -DCHECK_FINITE
endif
ifeq ($(strip $(MPI)),1)
ifeq ($(shell command -v mpicc),)
$(error mpicc is not there; `make setup-mpi` installs Open MPI)
endif
MPI_FLAGS := -DWITH_MPI $(patsubst -I%,-isystem %,$(shell mpicc --showme:compile))
LIBS      += $(shell mpicc --showme:link)
endif
ifneq ($(SANITIZE),)
FLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
ifneq ($(FUZZ),)
FLAGS += -fsanitize=fuzzer-no-link
endif

# ---- help -------------------------------------------------------------------------------------
.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make demo             train the autoencoder and show what it learned, in two minutes"
	@echo "make test             every test: numbers, gradients, golden values, files, chapters, docs"
	@echo "make build            compile everything to build/"
	@echo
	@echo "chapters: $(CHAPTERS)"
	@echo "  make train-ae       train a chapter's default and write build/runs/ae"
	@echo "  make sample-ae      pictures from the committed weights, in seconds"
	@echo "  make plot-ae        draw its plots again from notebooks-data/ae"
	@echo "  make test-ae        its tests alone"
	@echo "  make test-chapter   every chapter's tests; CHAPTER=ae for one"
	@echo
	@echo "make data             3,655 captioned emoji of 32 and 64 pixels in build/data, and a sheet of all"
	@echo "make plots            all diagrams, from the committed records, without training"
	@echo "make book             all texts with the code beside them, for a browser: build/book/index.html"
	@echo "make test-book        open the book in a browser, which it installs: links, search, networks"
	@echo "make bench            kernels and training steps against the machine and other libraries"
	@echo "make bench-mpi        training steps of two processes, also on slowed networks (as root): ten minutes"
	@echo "make setup-bench      install the libraries to compare with"
	@echo "make check            the tests under AddressSanitizer, LeakSanitizer and UBSan"
	@echo "make sweep-ae         the chapter's sweep over code sizes (twenty minutes)"
	@echo "make fuzz             fuzz the file parsers (SECONDS=60 each; needs clang)"
	@echo "make mutants          break the code in known ways; each must make a test fail (ONLY=word for some)"
	@echo "make margins          how far every compared number is from its tolerance"
	@echo "make torture          kill trainings at random system calls, resume, compare every file"
	@echo "make docs-check       code and numbers quoted in the READMEs equal the source and the records"
	@echo "make MPI=1 build      programs that several processes can train: mpirun -n 2 build/ae train --micro 2"
	@echo "make test-mpi         are the weights the same for 1, 2 and 3 processes, and after a kill -9?"
	@echo "make setup-mpi        install Open MPI"
	@echo "make setup            install the packages that are missing (Debian, Ubuntu)"
	@echo "make format, clean"
	@echo
	@echo "variables: CC=clang  OPENMP=0  VECTOR=16|32|64  CHECK=1 (stop at the first NaN)  MPI=1"

# ---- packages -----------------------------------------------------------------------------------
# demo, test, data and setup install what is missing; everything else says what is missing
.PHONY: setup setup-mpi needed
setup:
	@sh tests/setup.sh
setup-mpi:
	@sh tests/setup.sh libopenmpi-dev openmpi-bin
needed: $(filter setup,$(if $(filter demo test data setup,$(MAKECMDGOALS)),setup))
	@sh tests/setup.sh --check $(if $(filter test-% check mutants,$(MAKECMDGOALS)),libcriterion-dev liblapacke-dev)

# ---- the library, once in float and once in double ------------------------------------------------
COMMON := $(wildcard common/*/*.c)
FLOAT  := $(COMMON:%.c=$(BUILD)/float/%.o)
DOUBLE := $(COMMON:%.c=$(BUILD)/double/%.o)

# objects are made again when the flags change
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(FLAGS)' | cmp -s - $@ || echo '$(CC) $(FLAGS)' > $@
.PHONY: FORCE

$(BUILD)/float/%.o: %.c $(BUILD)/flags | needed
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/double/%.o: %.c $(BUILD)/flags | needed
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DREAL_DOUBLE -MMD -MP -c $< -o $@

$(BUILD)/libfloat.a: $(FLOAT)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/libdouble.a: $(DOUBLE)
	@rm -f $@
	ar rcs $@ $^

# stb's reader and JPEG writer, in these files, shift negative numbers and copy 0 bytes to null
# pointers: reported, but harmless
STB := $(foreach p,float double,$(BUILD)/$(p)/common/data/picture_decode.o $(BUILD)/$(p)/tests/test_folder.o \
         $(BUILD)/$(p)/tests/fuzz/fuzz_picture_decode.o)
STB_HARMLESS := -fno-sanitize=pointer-overflow -fno-sanitize=nonnull-attribute -fno-sanitize=shift
$(STB): private FLAGS += $(if $(SANITIZE),$(STB_HARMLESS))

# tests spend their time in the library, and compile in half the time at -O1. stb's reader is as fast
# at -O2, for which it takes a third of the time
TESTS_OF = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(wildcard tests/*.c tests/golden/*.c tests/fuzz/*.c chapters/*/test_*.c))
$(call TESTS_OF,float) $(call TESTS_OF,double): private CFLAGS := $(patsubst -O3,-O1,$(CFLAGS:-O2=-O1))
$(filter %/picture_decode.o,$(STB)): private CFLAGS := $(CFLAGS:-O3=-O2)

# run.json says with what a program was built, and from which commit
RECORD := $(BUILD)/float/common/train/run.o $(BUILD)/double/common/train/run.o
$(RECORD): private FLAGS += -DBUILD_FLAGS='"$(CC) $(strip $(CFLAGS))"' -DBUILD_COMMIT='"$(COMMIT)"'
$(RECORD): $(BUILD)/commit
COMMIT = $(shell git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@

# the one file that knows of MPI is made again when MPI= changes
PROCESSES := $(BUILD)/float/common/base/processes.o $(BUILD)/double/common/base/processes.o
$(PROCESSES): private FLAGS += $(MPI_FLAGS)
$(PROCESSES): $(BUILD)/mpi-flags
$(BUILD)/mpi-flags: FORCE
	@mkdir -p $(@D)
	@echo '$(MPI_FLAGS)' | cmp -s - $@ || echo '$(MPI_FLAGS)' > $@

# ---- programs: one per chapter, and tools: common/tools/NAME/*.c -> NAME ------------------------------------
TOOLS := $(notdir $(patsubst %/,%,$(dir $(wildcard common/tools/*/main.c))))

.PHONY: build
build: $(CHAPTERS:%=$(BUILD)/%) $(TOOLS:%=$(BUILD)/%) $(BUILD)/golden

.SECONDEXPANSION:
# a chapter is a library, which its program, its tests and its golden part are linked with
objects = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2))
chapter_sources = $(filter-out %/main.c chapters/$(1)/test_%,$(wildcard chapters/$(1)/*.c chapters/$(1)/experiments/*.c))

define chapter_library
$(CHAPTERS:%=$(BUILD)/$(1)/lib%.a): $(BUILD)/$(1)/lib%.a: $$$$(call objects,$(1),$$$$(call chapter_sources,$$$$*))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(eval $(call chapter_library,float))
$(eval $(call chapter_library,double))

# a chapter may not define what common/ defines: the linker would take either
$(CHAPTERS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/float/chapters/%/main.o $(BUILD)/float/lib%.a $(BUILD)/libfloat.a
	@nm -gA --defined-only $^ | awk 'NF == 3 && $$3 !~ /^__/ {sub(/:[0-9a-f]+$$/, "", $$1); if ($$3 in at) {print "$@: " $$3 " is defined twice: in " at[$$3] " and " $$1; bad = 1} at[$$3] = $$1} END {exit bad}'
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

$(TOOLS:%=$(BUILD)/%): $(BUILD)/%: $$(patsubst %.c,$(BUILD)/float/%.o,$$(wildcard common/tools/$$*/*.c)) $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

# ---- golden: our networks against tensors of the official code ---------------------------------------------
# build/golden FILE... asks the programs in golden.d, one for each table of models in tests/golden
GOLDEN_PARTS := $(filter-out golden,$(patsubst tests/golden/%.c,%,$(wildcard tests/golden/*.c)))

$(GOLDEN_PARTS:%=$(BUILD)/golden.d/%): $(BUILD)/golden.d/%: tests/golden/golden.c $(BUILD)/float/tests/golden/%.o $$(filter $(BUILD)/float/lib$$*.a,$(CHAPTERS:%=$(BUILD)/float/lib%.a)) $(BUILD)/libfloat.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -DGOLDEN_PART=golden_$* $^ -o $@ $(LIBS)

# what else an earlier version left there would be asked, too
$(BUILD)/golden: tests/golden/golden.sh $(GOLDEN_PARTS:%=$(BUILD)/golden.d/%)
	@rm -f $(filter-out $^,$(wildcard $(@D)/golden.d/*))
	install -m 755 $< $@

# ---- tests --------------------------------------------------------------------------------------------
TESTS         := $(patsubst tests/test_%.c,%,$(wildcard tests/test_*.c))
$(foreach c,$(filter $(TOOLS) $(TESTS),$(CHAPTERS)),$(error chapters/$c: a tool or a test of common/ has that name))
CHAPTER_TESTS := $(foreach c,$(CHAPTERS),$(if $(wildcard chapters/$(c)/test_*.c),$(c)))
# In float only: programs, and what has texts, bytes or numbers of allocations, but no numbers of its
# own. What several processes do is tested by test-mpi
FLOAT_ONLY    := bpe classes docs emoji mutants new_chapter programs score steps wardrobe
TEST_PROGRAMS := $(filter-out %/processes-float %/processes-double $(FLOAT_ONLY:%=$(BUILD)/tests/%-double),$(foreach p,float double,$(TESTS:%=$(BUILD)/tests/%-$(p)) $(CHAPTER_TESTS:%=$(BUILD)/tests/%-$(p))))
# begins first, beside all others
LONGEST       := $(BUILD)/tests/programs-float
RUN            = BUILD=$(BUILD) sh tests/run.sh

# networks that are timed, and where those of chapters are
NETS := $(wildcard tests/bench/nets_*.c) $(addprefix chapters/,cfg/glide.c dalle/dvae.c dalle/mask.c dalle/prior.c dalle/prior_snail.c ldm/first_stage.c ldm/first_stage_loss.c ldm/ldm.c ldm/patchgan.c ldm/published.c)

define test_rules
$(TESTS:%=$(BUILD)/tests/%-$(1)): $(BUILD)/tests/%-$(1): $(BUILD)/$(1)/tests/test_%.o $(BUILD)/$(1)/tests/testing.o $(BUILD)/$(1)/tests/arrays.o $(BUILD)/lib$(1).a
	@mkdir -p $$(@D)
	$$(CC) $$(FLAGS) $$(filter %.o,$$^) $$(filter %.a,$$^) -o $$@ -lcriterion $$(LIBS)

$(BUILD)/tests/steps-$(1): $(NETS:%.c=$(BUILD)/$(1)/%.o)
$(BUILD)/tests/fuzz-$(1): $(patsubst %.c,$(BUILD)/$(1)/%.o,$(wildcard tests/fuzz/fuzz_*.c))

$(CHAPTER_TESTS:%=$(BUILD)/tests/%-$(1)): $(BUILD)/tests/%-$(1): $$$$(call objects,$(1),$$$$(wildcard chapters/$$$$*/test_*.c)) $(BUILD)/$(1)/lib%.a $(BUILD)/$(1)/tests/testing.o $(BUILD)/lib$(1).a
	@mkdir -p $$(@D)
	$$(CC) $$(FLAGS) $$^ -o $$@ -lcriterion $$(LIBS)
endef
$(eval $(call test_rules,float))
$(eval $(call test_rules,double))
# LAPACK is the oracle of our eigenvalues; no program uses it
$(BUILD)/tests/eval-float $(BUILD)/tests/eval-double: private LIBS += -llapacke
$(BUILD)/tests/official-float $(BUILD)/tests/official-double: | $(BUILD)/golden
$(BUILD)/tests/docs-float $(BUILD)/tests/docs-double: | $(BUILD)/docs_numbers
# README's chapter is built beside what is here
$(BUILD)/tests/new_chapter-float: | $(BUILD)/tests/programs-float $(BUILD)/libdouble.a $(BUILD)/double/tests/testing.o
$(BUILD)/tests/classes-float $(BUILD)/tests/classes-double: | $(addprefix $(BUILD)/,ae vae gan ddpm dae_mae vqvae vqvae2 guidance)

# the parsers' tests under the sanitizers: of the library only the folders that parse, the rest as it is
PARSERS   := $(wildcard $(addprefix common/,$(addsuffix /*.c,base io data text))) tests/test_fuzz.c tests/testing.c $(wildcard tests/fuzz/fuzz_*.c)
SANITIZED := $(if $(SANITIZE),,$(BUILD)/tests/fuzz-sanitized)
SANITIZER  = -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
$(BUILD)/sanitized/common/data/picture_decode.o $(BUILD)/sanitized/tests/fuzz/fuzz_picture_decode.o: private SANITIZER += $(STB_HARMLESS)

$(BUILD)/sanitized/%.o: %.c $(BUILD)/flags | needed
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(SANITIZER) -MMD -MP -c $< -o $@

$(BUILD)/tests/fuzz-sanitized: $(PARSERS:%.c=$(BUILD)/sanitized/%.o) $(BUILD)/libfloat.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(SANITIZER) $^ -o $@ -lcriterion $(LIBS)

.PHONY: test test-chapter
test: $(TEST_PROGRAMS) $(SANITIZED) build docs-check $$(addprefix $(BUILD)/try/,$$(TRIED)) | setup
	@$(RUN) all $(LONGEST) $(filter-out $(LONGEST),$(TEST_PROGRAMS)) $(SANITIZED)

test-chapter: build
	@$(MAKE) --no-print-directory $(patsubst %,test-%,$(if $(filter *,$(CHAPTER)),$(CHAPTER_TESTS),$(CHAPTER)))

# a chapter's own tests, and those of all programs for its own
test-%: $(BUILD)/tests/$$*-float $(BUILD)/tests/$$*-double $$(if $$(filter $$*,$(CHAPTERS)),$(BUILD)/$$* $(BUILD)/tests/programs-float) $$(if $$(filter eval,$$*),$(BUILD)/score) $$(if $$(filter clip_program,$$*),$(BUILD)/clip)
	@CHAPTERS=$* $(RUN) some $(filter $(BUILD)/tests/%,$^)

test-programs: $(BUILD)/tests/programs-float $(CHAPTERS:%=$(BUILD)/%) $(TOOLS:%=$(BUILD)/%)
	@$(RUN) some $<

# trainings that several processes share; MPIRUN: how they are started, KILLS: how often one is killed
MPIRUN ?= mpirun --oversubscribe$(if $(filter 0,$(shell id -u)), --allow-run-as-root)
.PHONY: test-mpi test-processes
test-processes: test-mpi
test-mpi: | setup-mpi
	@$(MAKE) --no-print-directory MPI=1 BUILD=$(BUILD)/mpi $(CHAPTERS:%=$(BUILD)/mpi/%) $(BUILD)/mpi/tests/processes-float
	@BUILD=$(BUILD)/mpi MPIRUN="$(MPIRUN)" $(BUILD)/mpi/tests/processes-float -j1

.PHONY: check mutants fuzz docs-check
check:
	@$(MAKE) --no-print-directory BUILD=build/check SANITIZE=1 CHECK=1 CFLAGS="-O2 -march=native -g" test

mutants:
	@sh tests/mutants.sh "$(ONLY)"

# the tests once more, and what their comparisons were off by
.PHONY: margins
margins: $(TEST_PROGRAMS) build
	@rm -f $(BUILD)/margins
	@MARGINS=$(CURDIR)/$(BUILD)/margins $(RUN) some $(TEST_PROGRAMS)
	@sh tests/margins.sh $(BUILD)/margins >$(BUILD)/margins.tsv
	@head -n 20 $(BUILD)/margins.tsv; tail -n 20 $(BUILD)/margins.tsv
	@echo "tolerance / error, error, tolerance, comparisons, precision, test, place; all of them: $(BUILD)/margins.tsv"

DOCS := README.md tests/bench/SCALE.md $(wildcard chapters/*.md chapters/*/*.md notebooks-data/*/README.md) tests/README.md
docs-check: $(BUILD)/docs_numbers
	@sh tests/docs_check.sh $(DOCS)
	@$< $(DOCS)

$(BUILD)/docs_numbers: tests/docs_numbers.c $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

# each for a while, whatever became of the one before; inputs that do harm stay in build/fuzz
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
SECONDS ?= 60
FUZZ_CC ?= clang
fuzz:
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC="$(FUZZ_CC)" CFLAGS="-O1 -g -march=native" SANITIZE=1 FUZZ=1 \
	  COMMON="$(wildcard $(addprefix common/,$(addsuffix /*.c,base kernels tensor io data text)))" fuzz-programs
	@bad=""; for f in $(FUZZERS); do echo "== $$f"; mkdir -p build/fuzz/corpus/$$f; \
	  found=tests/fuzz/found/$${f#fuzz_}; [ -d $$found ] || found=""; \
	  build/fuzz/$$f -max_total_time=$(SECONDS) -print_final_stats=1 -artifact_prefix=build/fuzz/$$f- \
	    build/fuzz/corpus/$$f $$found >build/fuzz/$$f.log 2>&1 || { bad="$$bad $$f"; tail -40 build/fuzz/$$f.log; }; \
	  tail -6 build/fuzz/$$f.log; done; \
	if [ "$$bad" ]; then echo "fuzz: failed:$$bad"; exit 1; fi; echo "fuzz: $(words $(FUZZERS)) parsers, nothing found"

.PHONY: fuzz-programs
fuzz-programs: $(FUZZERS:%=$(BUILD)/%)
$(FUZZERS:%=$(BUILD)/%): $(BUILD)/%: tests/fuzz/libfuzzer.c $(BUILD)/float/tests/fuzz/%.o $(BUILD)/libfloat.a
	$(CC) $(FLAGS) -DFUZZER=$* -fsanitize=fuzzer $^ -o $@ $(LIBS)

# kills trainings at random system calls; minutes
KILLS ?= 200
.PHONY: torture
torture: $(BUILD)/torture $(BUILD)/ae $(BUILD)/vqvae $(BUILD)/vqvae2
	@BUILD=$(BUILD) $(BUILD)/torture $(KILLS)

$(BUILD)/torture: tests/torture/torture.c $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

# ---- running chapters -----------------------------------------------------------------------------------
train-%: $(BUILD)/%
	$(BUILD)/$* train --out build/runs/$*

sample-%: $(BUILD)/%
	$(BUILD)/$* sample --weights notebooks-data/$*/weights.safetensors --out build/samples/$*

sweep-%: $(BUILD)/%
	BUILD=$(BUILD) sh $(wildcard chapters/$*/sweep.sh chapters/$*/experiments/sweep.sh) build/runs/$*-sweep
	@sh plots/plot.sh $* build/runs/$*-sweep build/runs/$*-sweep

plot-%:
	@sh plots/plot.sh $* notebooks-data/$* plots/$*

.PHONY: plots demo story
# a row of images from every chapter, from the pictures in plots/
story:
	@gnuplot -e "out='plots'" plots/style.gp plots/story.gp

plots: story $(addprefix plot-,$(filter $(notdir $(wildcard notebooks-data/*)),$(notdir $(patsubst %/plot.gp,%,$(wildcard chapters/*/plot.gp common/tools/*/plot.gp)))))

demo: setup
	@$(MAKE) --no-print-directory -s -j2 $(BUILD)/ae
	$(BUILD)/ae train --steps 800 --out $(BUILD)/demo
	@sh plots/plot.sh ae $(BUILD)/demo $(BUILD)/demo >/dev/null
	@echo
	@echo "loss plot:                           $(BUILD)/demo/loss.png"
	@echo "garments and their reconstructions:  $(BUILD)/demo/samples.png"

# ---- data -------------------------------------------------------------------------------------------------
.PHONY: data
data: setup
	@$(MAKE) --no-print-directory -s -j2 $(BUILD)/dataset
	$(BUILD)/dataset emoji --size 32
	$(BUILD)/dataset emoji --size 64

# ---- the book: texts and code side by side, for a browser -------------------------------------------------
TRIED := vae ae gan ddpm guidance cfg
BOOK_PACKAGES := libcmark-gfm-dev libcmark-gfm-extensions-dev katex highlight clang lld wasi-libc libclang-rt-14-dev-wasm32
.PHONY: book setup-book test-book
book:
	@$(MAKE) --no-print-directory -j2 $(BUILD)/make-book $(TRIED:%=$(BUILD)/book/try/%.js)
	$(BUILD)/make-book $(BUILD)/book

$(BUILD)/make-book: $(wildcard common/tools/book/*.c common/tools/book/*.h) $(BUILD)/libfloat.a
	@sh tests/setup.sh --check $(BOOK_PACKAGES)
	$(CC) $(FLAGS) $(filter-out %.h,$^) -o $@ -lcmark-gfm-extensions -lcmark-gfm $(LIBS)

# networks that run in the page: common/tools/book/try/NAME.c with the chapter's own code, once for
# WebAssembly, and once for this machine, which packs the weights and is compared with
TRY_COMMON := $(wildcard common/kernels/*.c common/tensor/*.c) $(addprefix common/nn/,layers.c init.c unet.c unet_blocks.c unet_config.c attention_layers.c transformer.c time_embedding.c resize.c spatial_transformer.c class_unet.c unet_classifier.c text_unet.c text_transformer.c clip.c interpolate.c optim.c optimizer.c) $(addprefix common/diffusion/,sampler.c denoiser.c guidance.c labelled.c noise_schedule.c gaussian.c) $(addprefix common/text/,bpe.c bpe_symbols.c bpe_merges.c buffer.c html.c unicode.c utf8.c words.c) common/data/images.c $(addprefix common/base/,error.c memory.c arena.c printable.c)
WASM := clang --target=wasm32-wasi -std=gnu17 -fno-math-errno -O3 -msimd128 -DVEC_BYTES=16 -Icommon -mexec-model=reactor -Wl,--gc-sections,--strip-all

TRY_HEADERS := $(wildcard common/*/*.h chapters/*/*.h common/tools/book/try/*.h)

$(BUILD)/try/libcommon.a: $(TRY_COMMON) $(TRY_HEADERS)
	@sh tests/setup.sh --check $(BOOK_PACKAGES)
	@mkdir -p $(@D)/o && rm -f $@ $(@D)/o/*
	cd $(@D)/o && $(filter-out -Wl% -mexec%,$(WASM)) -I$(CURDIR)/common -c $(addprefix $(CURDIR)/,$(TRY_COMMON))
	llvm-ar-14 rcs $@ $(@D)/o/*.o

# the tokenizer's merges as a string in C
$(BUILD)/try/captions.inc: notebooks-data/tokenizer/captions.bpe
	@mkdir -p $(@D)
	sed 's/.*/"&\\n"/' $< >$@
$(BUILD)/try/cfg $(BUILD)/try/cfg.wasm: $(BUILD)/try/captions.inc

$(TRIED:%=$(BUILD)/try/%.wasm): $(BUILD)/try/%.wasm: common/tools/book/try/%.c common/tools/book/try/common.c $$(filter-out %/official.c,$$(wildcard chapters/$$*/$$*.c chapters/$$*/networks.c chapters/$$*/spectral_norm.c chapters/$$*/glide.c chapters/$$*/text_sampler.c)) $(BUILD)/try/libcommon.a
	$(WASM) -I$(@D) $(filter-out %.inc,$^) -o $@

$(TRIED:%=$(BUILD)/try/%): $(BUILD)/try/%: common/tools/book/try/%.c common/tools/book/try/common.c common/tools/book/try/native.c $(BUILD)/float/lib%.a $(BUILD)/libfloat.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -I$(@D) $(filter-out %.inc,$^) -o $@ $(LIBS)

$(TRIED:%=$(BUILD)/book/try/%.js): $(BUILD)/book/try/%.js: $(BUILD)/try/% $(BUILD)/try/%.wasm $$(wildcard notebooks-data/$$*/*weights.safetensors)
	@mkdir -p $(@D)
	$< pack notebooks-data $(BUILD)/try/$*.weights
	(printf 'var TRY = TRY || {};\nTRY.$* = {wasm: "'; base64 -w0 $(BUILD)/try/$*.wasm; printf '",\nweights: "'; \
	 base64 -w0 $(BUILD)/try/$*.weights; printf '"};\n') >$@

setup-book:
	@sh tests/setup.sh $(BOOK_PACKAGES)

# in Debian's browser, which it installs
test-book:
	@sh tests/setup.sh $(BOOK_PACKAGES) chromium chromium-driver
	@$(MAKE) --no-print-directory book $(BUILD)/ddpm $(BUILD)/cfg
	@node common/tools/book/test_book.js $(BUILD)/book

# ---- benchmarks -------------------------------------------------------------------------------------------
# peers are measured where they are installed: libopenblas-dev, libdnnl-dev, python3-torch, and node's
# onnxruntime-node in $(ONNX) (make setup-bench)
ONNX := $(BUILD)/onnx
has = $(shell echo '\#include <$(1)>' | $(CC) -E - >/dev/null 2>&1 && echo $(2))
PEERS     = $(call has,cblas.h,-DWITH_OPENBLAS) $(call has,dnnl.h,-DWITH_DNNL)
PEER_LIBS = $(call has,cblas.h,-lopenblas) $(call has,dnnl.h,-ldnnl)

.PHONY: bench setup-bench
bench: $(BUILD)/bench_kernels $(BUILD)/bench_steps
	NODE_PATH=$(ONNX)/node_modules sh tests/bench/bench.sh $(BUILD)

setup-bench:
	@sh tests/setup.sh libopenblas-dev libdnnl-dev python3-torch $(if $(shell command -v npm),,nodejs npm)
	@mkdir -p $(ONNX) && npm install --silent --ignore-scripts --prefix $(ONNX) onnxruntime-node@1.30.0

$(BUILD)/bench_kernels: tests/bench/bench_kernels.c $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $(PEERS) $^ -o $@ $(PEER_LIBS) $(LIBS)

# scenes of the wardrobe that one thread makes in a second: build/bench_scenes
$(BUILD)/bench_scenes: tests/bench/bench_scenes.c $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

$(BUILD)/bench_steps: tests/bench/bench_steps.c $(NETS) $(BUILD)/libfloat.a tests/bench/nets.h tests/bench/median.h
	$(CC) $(FLAGS) $(filter-out %.h,$^) -o $@ $(LIBS)

# what guidance adds to a step: build/bench_guidance
$(BUILD)/bench_guidance: tests/bench/bench_guidance.c $(BUILD)/float/libguidance.a $(BUILD)/float/libcfg.a $(BUILD)/libfloat.a tests/bench/median.h
	$(CC) $(FLAGS) -I. $(filter-out %.h,$^) -o $@ $(LIBS)

# several processes: the programs of chapters whose steps are timed (tests/bench/mpi_steps.c), and
# what the model of SCALE.md needs besides
.PHONY: bench-mpi bench-mpi-programs scale
bench-mpi: | setup-mpi
	@$(MAKE) --no-print-directory MPI=1 BUILD=$(BUILD)/mpi bench-mpi-programs
	BUILD=$(BUILD)/mpi sh tests/bench/mpi.sh $(BUILD)/scale
	@$(MAKE) --no-print-directory scale SCALE=$(BUILD)/scale

# the model and its picture, from the committed records or others
SCALE := notebooks-data/scale
scale:
	awk -v out=$(SCALE) -f tests/bench/scale.awk $(SCALE)/exchange.csv $(SCALE)/published.csv $(SCALE)/steps.csv
	gnuplot -e "csv='$(SCALE)/scale.csv'; out='$(if $(filter notebooks-data/%,$(SCALE)),plots/scale,$(SCALE))/scale.png'" plots/style.gp tests/bench/scale.gp

BENCH_MPI := $(filter-out gan,$(CHAPTERS))    # its steps are of whole batches
bench-mpi-programs: $(BENCH_MPI:%=$(BUILD)/steps-%) $(BUILD)/vqvae $(BUILD)/vqvae2 $(BUILD)/mpi_exchange $(BUILD)/mpi_published

WRAPPED := run_next run_every run_saves processes_exchange_begin processes_exchange_end processes_all_gather processes_all_gather_each processes_share
$(CHAPTERS:%=$(BUILD)/steps-%): $(BUILD)/steps-%: $(BUILD)/float/chapters/%/main.o $(BUILD)/float/tests/bench/mpi_steps.o $(BUILD)/float/lib%.a $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $(WRAPPED:%=-Wl,--wrap=%) $^ -o $@ $(LIBS)

$(BUILD)/mpi_exchange: $(BUILD)/float/tests/bench/mpi_exchange.o $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

$(BUILD)/mpi_published: $(BUILD)/float/tests/bench/mpi_published.o $(BUILD)/float/libiddpm.a $(BUILD)/float/libldm.a $(BUILD)/libfloat.a
	$(CC) $(FLAGS) $^ -o $@ $(LIBS)

# ---- the rest ----------------------------------------------------------------------------------------------
.PHONY: format clean
# only the lines that were changed since the last commit: tables stay as they were laid out
format:
	git clang-format --extensions c,h

clean:
	rm -rf build

-include $(shell find $(BUILD)/float $(BUILD)/double $(BUILD)/sanitized -name '*.d' 2>/dev/null)
