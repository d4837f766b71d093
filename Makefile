# One word for each thing one does with Vedette; `make help` lists them.

PORT ?= 8000
DATA ?= data/demo

TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release

.DEFAULT_GOAL := help
.PHONY: help run build models system-packages test-packages rust test bench bench-http fmt lint dist third-party advisories clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## the demo: server, dashboard, one enrolled person, one camera; PORT=8000 DATA=data/demo
	@exec $(RELEASE)/demo --port $(PORT) --data-dir $(DATA)

build: system-packages rust ## vedette, vedette-worker and libgstvedette.so in target/release, with the models they need
	cargo build --release --workspace
	@$(RELEASE)/vedette models fetch opencv

models: system-packages rust ## ONNX Runtime and the default models in models/files, hash-checked
	cargo build --release -p vedette
	@$(RELEASE)/vedette models fetch opencv

system-packages: ## what Vedette needs of Debian; installs what is missing
	@sh .ci/system-packages

rust:
	@sh .ci/check-rust

test-packages:
	@sh .ci/system-packages --with-tests

test: test-packages rust ## everything that decides whether a change is accepted
	@TARGET=$(TARGET) sh .ci/test

bench: build ## the whole pipeline against the Python app's loop, in one run
	@$(RELEASE)/bench

bench-http: build ## the control plane against a FastAPI server on the same database and models, and its idle memory
	@$(RELEASE)/bench_http

fmt: ## format the code
	cargo fmt --all

lint: system-packages rust ## formatting and clippy, no warning allowed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

dist: build ## a Debian package, a tarball and what they are made of, in dist/
	@TARGET=$(TARGET) sh .ci/dist

third-party: rust ## THIRD_PARTY.md anew, after crates came or went
	@.ci/third-party >THIRD_PARTY.md

advisories: rust ## ask the RustSec database about known faults of our crates; needs the open network
	@PATH="$$(sh .ci/tools cargo-deny):$$PATH" cargo deny check advisories

clean: ## remove what was built; models and data stay
	cargo clean
