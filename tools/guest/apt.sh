# shellcheck shell=bash
# Debian packages of other architectures, and sources, from the archive this
# machine already uses: a private apt state in $AXVM_CACHE/apt, so that neither
# apt's sources nor dpkg's architectures change. Sourced after common.sh.

# patiently COMMAND...: an archive may fail once, or be renewed just now.
patiently() {
	local tries
	for tries in 1 2 3; do
		if "$@"; then return 0; fi
		[ "$tries" = 3 ] || sleep 10
	done
	return 1
}

# apt_private STATE: fills the array apt_options; STATE is an architecture of
# Debian's, or "source". The lists are renewed when they are older than a day.
apt_private() {
	local state=$1 dir=$AXVM_CACHE/apt/$1 type="deb" codename key=/usr/share/keyrings/debian-archive-keyring.gpg
	need apt-get apt-cache dpkg-deb flock
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	mkdir -p "$dir"/{lists/partial,cache/archives/partial}
	: >"$dir/status"
	[ "$state" != source ] || type="deb-src"
	[ ! -r "$key" ] || type+=" [signed-by=$key]"
	# One line for each part of Debian's archive that apt knows here.
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v type="$type" -v code="$codename" \
			'$2 == code || index($2, code "-") == 1 { print type, $1, $2, $3 }' | sort -u >"$dir/sources.$$"
	[ -s "$dir/sources.$$" ] || { rm "$dir/sources.$$"; die "apt has no lists of Debian's archive; run 'apt-get update'"; }
	mv "$dir/sources.$$" "$dir/sources"
	apt_options=(-qq -o "Dir::Etc::sourcelist=$dir/sources" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$dir/lists" -o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
	[ "$state" = source ] || apt_options+=(-o "APT::Architecture=$state" -o "APT::Architectures=$state")
	(
		flock 9
		[ -z "$(find "$dir/updated" -mtime -1 2>/dev/null)" ] || exit 0
		say "reading the archive's lists ($state)"
		patiently apt-get "${apt_options[@]}" update >"$dir/log" 2>&1 || {
			cat "$dir/log" >&2
			die "apt-get update failed for $state"
		}
		touch "$dir/updated"
	) 9>"$dir/lock"
}

# apt_system: the machine's own apt, as it is.
apt_system() {
	need apt-get apt-cache dpkg-deb
	apt_options=(-qq)
}

# apt_real META: the package that the metapackage META stands for.
apt_real() {
	apt-cache "${apt_options[@]}" depends "$1" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }'
}

# apt_tree DIR PACKAGE...: the packages' files below DIR.
apt_tree() {
	local dir=$1 deb
	shift
	mkdir -p "$dir.deb" "$dir"
	# As root, apt downloads as a user of its own.
	chmod 755 "$SCRATCH" "${dir%/*}" && chmod 777 "$dir.deb"
	(cd "$dir.deb" && patiently apt-get "${apt_options[@]}" download "$@") >"$dir.log" 2>&1 || {
		cat "$dir.log" >&2
		die "apt-get download $* failed; is the archive reachable?"
	}
	for deb in "$dir.deb"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
	rm -rf "$dir.deb"
}

# apt_source PACKAGE DIR: the package's source, with Debian's patches, as DIR.
apt_source() {
	local package=$1 dir=$2
	need dpkg-source patch
	apt_private source
	mkdir -p "$dir.src"
	(cd "$dir.src" && patiently apt-get "${apt_options[@]}" --only-source source "$package") >"$dir.log" 2>&1 || {
		cat "$dir.log" >&2
		die "apt-get source $package failed; is the archive reachable?"
	}
	mv "$dir.src"/*/ "$dir"
	rm -rf "$dir.src"
}
