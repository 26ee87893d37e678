#!/bin/sh
# unpack.sh DEBS ROOT - unpacks the packages of a directory below ROOT, and writes what dpkg would know of each into
# ROOT/var/lib/dpkg/status.d. No file of a package runs, so they may be of any architecture.
set -eu
debs=$1 root=$2
# As on every Debian since 12; packages may still have files below /bin and /lib.
for directory in bin lib lib64 sbin; do
  mkdir -p "$root/usr/$directory"
  ln -s "usr/$directory" "$root/$directory"
done
known=$root/var/lib/dpkg/status.d
mkdir -p "$known"
for deb in "$debs"/*.deb; do
  package=$(dpkg-deb --field "$deb" Package)
  dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root"
  dpkg-deb --field "$deb" >"$known/$package"
  # A package that has no files has no such list.
  { dpkg-deb --info "$deb" md5sums 2>/dev/null || true; } >"$known/$package.md5sums"
  # shellcheck disable=SC2016 # the fields are for dpkg-deb to fill in
  dpkg-deb --show --showformat='${Package} ${Version}: source https://snapshot.debian.org/package/${source:Package}/${source:Version}/\n' \
    "$deb" >"$known/$package.source"
done
