#!/bin/sh
# Installs the detector as a service: JetPack 6 and 7, x86 and Arm with systemd. It checks first, and where a check fails
# nothing is changed. Run it again to update: streams.toml of the installation stays as it is.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
onnx='@{quoted_onnx}'
unit='@{unit}.service'
prefix='/opt/ssd-edge/@{slug}'
root='' user=${SUDO_USER:-$(id -un)} program='' streams='' dry='' force='' service=yes

usage() {
    cat <<'END'
usage: install.sh [OPTION]... [-- OPTION OF ssd-edge build...]

  --prefix FOLDER     where it goes (default: /opt/ssd-edge/@{slug})
  --user USER         who runs it (default: who calls this, also through sudo)
  --streams FILE      a streams.toml with your cameras (default: of the installation, else the one in workspace/)
  --ssd-edge PROGRAM  the installed ssd-edge (default: of the PATH, else of the prefix, else of wheels/ here, which
                      updates that of the prefix too)
  --no-service        leave systemd out
  --root FOLDER       install into a file system that is mounted there; doctor, engine and start are left to the board
  --force             go on although ssd-edge doctor finds something missing
  --dry-run           check, print what would be done, and change nothing

Example: sudo ./install.sh -- --fp16
END
}

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --user | --streams | --ssd-edge | --root)
        [ $# -gt 1 ] || { echo "install.sh: $1 needs a value" >&2; exit 2; }
        case $1 in
        --prefix) prefix=$2 ;;
        --user) user=$2 ;;
        --streams) streams=$2 ;;
        --ssd-edge) program=$2 ;;
        --root) root=$2 ;;
        esac
        shift 2
        ;;
    --no-service) service=''; shift ;;
    --force) force=yes; shift ;;
    --dry-run) dry=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) echo "install.sh: there is no option $1" >&2; usage >&2; exit 2 ;;
    esac
done
case $prefix in /*) ;; *) echo "install.sh: --prefix takes a whole path, from / on" >&2; exit 2 ;; esac
case $prefix$program$user in
*[!A-Za-z0-9/_.@+-]*) echo "install.sh: only letters, digits and /_.@+- in folder, program and user" >&2; exit 2 ;;
esac

target=$root$prefix
unit_file=$root/etc/systemd/system/$unit
faults=0
fault() {
    echo "  missing: $1" >&2
    faults=$((faults + 1))
}
found() { echo "  ok: $1"; }

# Returns the nearest folder that is there already, of a path that is still to be made.
nearest() {
    place=$1
    while [ ! -d "$place" ]; do place=$(dirname -- "$place"); done
    echo "$place"
}

check_whole() {
    if (cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) >&2; then
        found "the package is whole"
    else
        fault "files as they were packed; copy the package again"
    fi
}

# JetPack 6 is L4T 36, JetPack 7 is L4T 38 and 39: the first line of this file says it on every Jetson.
check_platform() {
    release=$root/etc/nv_tegra_release
    if [ -r "$release" ]; then
        l4t=$(sed -n '1s/^# R\([0-9]*\).*/\1/p' "$release")
        case $l4t in
        36) found "JetPack 6 (L4T $l4t)" ;;
        38 | 39) found "JetPack 7 (L4T $l4t)" ;;
        '') fault "the release of L4T in $release" ;;
        *) fault "JetPack 6 or 7; this is L4T $l4t, whose Python is older than 3.10" ;;
        esac
        return
    fi
    case $(uname -m) in
    x86_64 | amd64) found "x86" ;;
    aarch64 | arm64) found "Arm without JetPack" ;;
    *) fault "x86 or 64-bit Arm; this is $(uname -m)" ;;
    esac
}

check_python() {
    if python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        found "$(python3 --version)"
    else
        fault "Python 3.10 or later as python3"
    fi
}

find_program() {
    wheel=$(find "$here/wheels" -name '*.whl' 2>/dev/null | head -n 1)
    if [ -z "$program" ] && [ -z "$root" ]; then program=$(command -v ssd-edge || true); fi
    newer=''
    if [ -z "$program" ] && [ -x "$target/venv/bin/ssd-edge" ]; then
        program=$prefix/venv/bin/ssd-edge
        [ -n "$root" ] || newer=$wheel
    fi
    if [ -n "$program" ]; then
        wheel=''
        if [ -x "$root$program" ]; then found "$program"; else fault "a program at $root$program"; fi
    elif [ -n "$wheel" ] && [ -z "$root" ]; then
        if python3 -c 'import venv, ensurepip' 2>/dev/null; then
            found "$(basename -- "$wheel"), to be installed"
        else
            fault "the module venv: apt install python3-venv"
        fi
    else
        fault "ssd-edge: install it, or name it with --ssd-edge PROGRAM, or package with --wheel"
    fi
}

check_places() {
    set -- "$(nearest "$target")"
    if [ -n "$service" ]; then set -- "$@" "$(nearest "$(dirname -- "$unit_file")")"; fi
    for place; do
        if [ -w "$place" ]; then found "$place can be written"; else fault "the right to write in $place: use sudo"; fi
    done
    needed=$(($(du -sk "$here" | cut -f1) * 2 + 262144))
    free=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$needed" ] || fault "room: $needed KiB in $1, where $free are free"
    id -u "$user" >/dev/null 2>&1 || [ -n "$root" ] || fault "the user $user"
    [ -z "$streams" ] || [ -r "$streams" ] || fault "the file $streams"
}

check_service() {
    [ -n "$service" ] || return 0
    if [ -e "$unit_file" ] && ! head -n 1 "$unit_file" | grep -q '^# ssd-edge package'; then
        fault "a free name: $unit_file is another's"
    fi
    [ -n "$root" ] || command -v systemctl >/dev/null || fault "systemd, or --no-service"
}

check_machine() {
    if "$1" doctor >&2; then
        found "ssd-edge doctor"
    elif [ -n "$force" ]; then
        echo "  ssd-edge doctor finds something missing; going on, as --force says"
    else
        fault "what ssd-edge doctor names above; --force goes on without it"
    fi
}

refuse_if_faulty() {
    if [ "$faults" -gt 0 ]; then
        echo "install.sh: $faults things are missing; nothing was changed" >&2
        exit 1
    fi
}

# Does a thing, or says what it would be.
act() {
    if [ -n "$dry" ]; then
        echo "  would run: $*"
    else
        "$@"
    fi
}

# The same, as the user who will run the service.
act_as_user() {
    if [ "$(id -u)" -eq 0 ] && [ "$user" != root ] && [ -z "$root" ]; then
        act runuser -u "$user" -- "$@"
    else
        act "$@"
    fi
}

# The program comes first, because its doctor does the checking; it goes again where that refuses.
install_program() {
    if [ -n "$newer" ]; then act "$target/venv/bin/pip" install --quiet "$newer"; fi
    [ -n "$wheel" ] || return 0
    act python3 -m venv --system-site-packages "$target/venv"
    act "$target/venv/bin/pip" install --quiet "$wheel"
    program=$prefix/venv/bin/ssd-edge
    [ -z "$dry" ] || return 0
    check_machine "$target/venv/bin/ssd-edge"
    if [ "$faults" -gt 0 ]; then
        rm -rf "$target/venv"
        rmdir "$target" 2>/dev/null || true
    fi
    refuse_if_faulty
}

install_workspace() {
    for folder in runs calibration engines out; do act mkdir -p "$target/$folder"; done
    for entry in "$here"/workspace/*; do
        [ "${entry##*/}" = streams.toml ] || act cp -R "$entry" "$target/"
    done
    if [ -n "$streams" ]; then
        act cp "$streams" "$target/streams.toml"
    elif [ -e "$target/streams.toml" ]; then
        echo "  kept: $target/streams.toml"
    else
        act cp "$here/workspace/streams.toml" "$target/streams.toml"
    fi
    if [ "$(id -u)" -eq 0 ] && [ -z "$root" ]; then
        act chown -R "$user" "$target/runs" "$target/calibration" "$target/engines" "$target/out" "$target/streams.toml"
    fi
}

build_engine() {
    if [ -n "$root" ]; then
        echo "  left to the board: ssd-edge build, in $prefix"
        return
    fi
    act_as_user env -C "$target" "$program" build "$onnx" "$@"
    if [ -n "$dry" ]; then return; fi
    engine=$(sed -n 's/.*"engine": "\(.*\)".*/\1/p' "$target/engines/current.json")
    "$program" package --verify "$here" --engine "$target/engines/$engine"
}

install_service() {
    [ -n "$service" ] || return 0
    groups=''
    for group in video render; do
        if grep -q "^$group:" "$root/etc/group" 2>/dev/null; then groups="$groups $group"; fi
    done
    if [ -n "$dry" ]; then
        echo "  would write: $unit_file"
    else
        mkdir -p "$(dirname -- "$unit_file")"
        sed -e "s|%PREFIX%|$prefix|g" -e "s|%PROGRAM%|$program|g" -e "s|%USER%|$user|g" -e "s|%GROUPS%|${groups# }|g" \
            "$here/ssd-edge.service" >"$unit_file.new"
        mv "$unit_file.new" "$unit_file"
    fi
    [ -z "$root" ] || return 0
    act systemctl daemon-reload
    act systemctl enable "$unit"
    act systemctl restart "$unit"
}

echo "checking:"
check_whole
check_platform
check_python
find_program
check_places
check_service
if [ -n "$program" ] && [ -x "$program" ] && [ -z "$root" ]; then check_machine "$program"; fi
refuse_if_faulty
echo "installing into $target:"
install_program
install_workspace
build_engine "$@"
install_service
if [ -n "$dry" ]; then
    echo "nothing was changed"
elif [ -z "$service" ] || [ -n "$root" ]; then
    echo "installed in $target; next: cd $prefix && $program run --config streams.toml"
else
    echo "installed and started; watch it: journalctl -u $unit -f; cameras: $prefix/streams.toml"
fi
