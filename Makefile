# SPDX-License-Identifier: Apache-2.0

# Commands that touch the kernel need root; sudo is asked for only where we are not.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: build demo test test-long test-kernels test-hosts bench test-packages generate check-generated fuzz install clean

build:
	CGO_ENABLED=0 go build -trimpath -o waymark ./cmd/waymark

# Everything at work, in network namespaces of its own.
demo: build
	$(SUDO) ./waymark demo

# Unit tests, and as root the tests with real programs and packets.
test: test-packages check-generated
	test/format.sh
	go vet ./...
	CGO_ENABLED=0 go test -count=1 -timeout 30m $$(go list ./... | grep -v '^waymark/test$$')
	test/each.sh
	test/left-out.sh

# A million headers through the programs in the kernel, a set of 100,000 rules,
# ten thousand cgroups; every change of every command, with the command killed
# before it; 10,000 applies and downs; commands side by side; twenty upgrades and a
# hundred restarts of the agent under 50,000 packets a second; a thousand classes and
# ten thousand open flows whose uplink fails, comes back, and flaps for a minute;
# ten minutes of a thousand classes at 200,000 packets a second.
test-long:
	CGO_ENABLED=0 $(SUDO) go test -count=1 -timeout 6h -run '^(TestOracle|TestTenThousandCgroups|TestCgroupsDuringApplies|TestBornInCgroup|TestKilled|TestCycles|TestConvergence|TestFailBack|TestFlapOfAThousand|TestUpgrade|TestRestarts|TestTwoAtOnce|TestLoad)$$' ./test -long

# What it costs beside what people use today: every arm, every size, the bounds. A
# quarter of an hour on an idle machine that is quiet, over an hour on one that is
# not, where it takes more turns. BENCH="-rules 1,100" is a part of it.
BENCH ?= -json build/bench.json
bench: test-packages
	CGO_ENABLED=0 go build -trimpath -o build/bench ./test/bench
	$(SUDO) build/bench $(BENCH)

# The traffic table and the packets on other kernels, in QEMU, without KVM and
# without root: half an hour. Which kernel does what is written down in
# test/kernels/KERNELS.md. KERNELS="6.1" is one of them.
test-kernels:
	test/packages.sh qemu-system-x86_64 qemu-system-x86 xz xz-utils wg wireguard-tools
	CGO_ENABLED=0 go run ./test/kernels $(KERNELS)

# On a host that systemd booted, with networkd beside: units, slices, sockets,
# users. Its root file system is made once, in build/hosts.
HOSTS_ROOT := $(CURDIR)/build/hosts/bookworm
test-hosts:
	test/packages.sh debootstrap debootstrap systemd-nspawn systemd-container nsenter util-linux
	test/hosts/root.sh $(HOSTS_ROOT)
	CGO_ENABLED=0 WAYMARK_HOSTS_ROOT=$(HOSTS_ROOT) go test -count=1 -v -timeout 30m ./test/hosts

# The Debian and npm packages that the tests use: a browser and what drives it, nft, iptables and tc beside ip, and the compiler that check-generated needs.
test-packages:
	test/packages.sh
	test/page/packages.sh

generate:
	go generate ./...

# The committed bindings are those that the C gives.
check-generated:
	test/generated.sh

# Each fuzz target in turn, for FUZZTIME.
FUZZTIME ?= 30s
fuzz:
	test/fuzz.sh $(FUZZTIME)

PREFIX ?= /usr/local
install: build
	install -D -m 0755 waymark $(DESTDIR)$(PREFIX)/sbin/waymark
	install -D -m 0644 dist/waymark.service $(DESTDIR)$(PREFIX)/lib/systemd/system/waymark.service
	sed -i 's|/usr/local/|$(PREFIX)/|' $(DESTDIR)$(PREFIX)/lib/systemd/system/waymark.service
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/waymark/grafana dist/grafana/*.json
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/waymark/prometheus dist/prometheus/*.yaml
	install -D -m 0644 dist/networkd-foreign.conf $(DESTDIR)$(PREFIX)/share/doc/waymark/networkd-foreign.conf

clean:
	rm -f waymark
