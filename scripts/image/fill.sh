#!/bin/sh
# fill.sh ROOT PLUGIN IMAGE - puts into IMAGE, the root directory of the image, the executable of the directory PLUGIN, and from ROOT, which unpack.sh made, the
# programs that the container itself runs, the libraries of all, what a node may lack, and for scanners and lawyers what Debian says of
# each package that a file is from. Runs nothing of these: it reads the headers of ELF files, so that they may be of any architecture.
set -eu
root=$1 plugin=$2 image=$3
programs='ip nsenter prlimit'

fail() {
  echo "image: $*" >&2
  exit 1
}

# find_in_root NAME DIRECTORY...: sets `found` to its path below ROOT
find_in_root() {
  name=$1
  shift
  for found; do
    found=$found/$name
    [ ! -e "$root/$found" ] && [ ! -L "$root/$found" ] || return 0
  done
  return 1
}
libraries=$(cd "$root" && echo usr/lib/*-linux-gnu* usr/lib)

taken=
# take FILE: a file of ROOT, what it is a link to, and what it is linked with
take() {
  case " $taken " in *" $1 "*) return ;; esac
  taken="$taken $1"
  if [ -L "$root/$1" ]; then
    target=$(readlink "$root/$1")
    case $target in /*) target=$root$target ;; *) target=$root/${1%/*}/$target ;; esac
    # A link to /lib/… of the package is one to /usr/lib/… here.
    take "$(realpath --no-symlinks --relative-to="$root" "$target" | sed 's#^\(s\?bin\|lib\|lib64\)/#usr/&#')"
  else
    take_libraries "$root/$1" "$1"
  fi
}
take_libraries() { # FILE NAME
  for needed in $(patchelf --print-needed "$1"); do
    # shellcheck disable=SC2086 # a list of directories
    find_in_root "$needed" $libraries || fail "$2 needs $needed, which none of the packages has"
    take "$found"
  done
}

interpreter=$(patchelf --print-interpreter "$plugin/x-calico-route")
[ -e "$root$interpreter" ] || [ -L "$root$interpreter" ] ||
  fail "the x-calico-route to put in needs $interpreter, which none of the packages has: it is of another architecture"
take "usr$interpreter"
take_libraries "$plugin/x-calico-route" x-calico-route
for program in $programs; do
  find_in_root "$program" usr/bin usr/sbin || fail "none of the packages has $program"
  take "$found"
done
for file in etc/debian_version etc/os-release usr/lib/os-release $(cd "$root" && find usr/share/common-licenses ! -type d); do
  taken="$taken $file"
done

mkdir -p "$image/run" "$image/var" "$image/usr/share/doc/x-calico-route"
# shellcheck disable=SC2086 # a list of files
(cd "$root" && tar -c $taken) | tar -x -C "$image"
for directory in bin lib lib64 sbin; do
  [ ! -d "$image/usr/$directory" ] || ln -s "usr/$directory" "$image/$directory"
done
ln -s /run "$image/var/run" # as containerd and CRI-O write it
cp "$plugin/x-calico-route" "$image"
chmod 755 "$image/x-calico-route"
cp "$plugin/LICENSES.txt" "$plugin/x-calico-route.cdx.json" "$image/usr/share/doc/x-calico-route"

# What `install --self-contained` lays beside the plugin: copies, since their paths of a loader differ.
parts=$("${0%/*}/node-tools.sh" "$image/usr/libexec/x-calico-route" "$root")

# Of each package that a file is from: the entry that scanners look for, and the licence.
known=var/lib/dpkg/status.d
mkdir -p "$image/$known"
for sums in "$root/$known"/*.md5sums; do
  package=$(basename "$sums" .md5sums)
  needed=
  while read -r sum file; do
    case " $taken " in *" $file "* | *" usr/$file "*) echo "$sum  $file" ;; esac
    # shellcheck disable=SC2086 # a list of files
    case " $taken "$(printf '%s ' $parts) in *" $file "* | *" usr/$file "*) needed=yes ;; esac
  done <"$sums" >"$image/$known/$package.md5sums"
  # Of some there are only copies among the parts.
  [ -s "$image/$known/$package.md5sums" ] || rm "$image/$known/$package.md5sums"
  [ -n "$needed" ] || continue
  cp "$root/$known/$package" "$image/$known"
  mkdir -p "$image/usr/share/doc/$package"
  cp "$root/usr/share/doc/$package/copyright" "$image/usr/share/doc/$package"
  cp "$root/$known/$package.source" "$image/usr/share/doc/$package/source"
done
chmod -R u=rwX,go=rX "$image"
