#!/usr/bin/env bash
# The tests of the kernels on emulated Linux for Arm: bash tests/arm.sh FOLDER [TEST FILES OR OPTIONS]
#
# FOLDER gets 1.5 GB: Debian's Python and libraries for arm64, unpacked and not installed, and the
# aarch64 wheels of the requirements of the tests. A second call uses what is there, also the compiled
# kernels, from whatever checkout: emulated, each takes 5 seconds and more to compile. It needs
# Debian on another processor, its package qemu-user-static, and pip; no root, no chroot, no
# binfmt_misc: the processes that tests start run through a wrapper, too.
# NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose other instructions than those of every Arm processor.
set -euo pipefail
checkout=$(realpath "$(dirname "$0")/..")
mkdir -p "${1:?give a folder outside of the checkout}"
folder=$(realpath "$1")
shift
case $folder/ in "$checkout"/*) echo "$folder: lies in the checkout; give another folder" >&2; exit 2 ;; esac
command -v qemu-aarch64-static > /dev/null || { echo "qemu-aarch64-static: missing; apt-get install qemu-user-static" >&2; exit 2; }
cd "$folder"

if [ ! -e root.complete ]; then
    mkdir -p apt/state/lists/partial apt/cache/archives/partial root
    : > apt/status
    options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$folder/apt/state"
        -o "Dir::State::status=$folder/apt/status" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=
        -o Debug::NoLocking=1)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" install -y --download-only --no-install-recommends python3 libstdc++6 libgomp1
    for package in apt/cache/archives/*.deb; do dpkg -x "$package" root; done
    touch root.complete
fi

python=$(cd root/usr/bin && ls python3.[0-9]* | head -n 1)
printf '#!/bin/sh\nexec qemu-aarch64-static -L "%s/root" "%s/root/usr/bin/%s" "$@"\n' "$folder" "$folder" "$python" > python
chmod +x python

if [ ! -e site.complete ]; then
    platforms=(--platform manylinux2014_aarch64)
    for minor in $(seq 17 "$(ldd --version | sed -n '1s/.*\.//p')"); do
        platforms+=(--platform "manylinux_2_${minor}_aarch64")
    done
    python3 -m venv native
    native/bin/pip install --quiet --upgrade pip build
    native/bin/python -m build --wheel --outdir wheel "$checkout" > build.log
    native/bin/pip install --quiet --target site --python-version "${python#python}" --implementation cp \
        "${platforms[@]}" --only-binary=:all: "$(ls wheel/*.whl)[test]"
    rm -r site/photodna_nb  # the checkout is tested
    # Tests start sys.executable; the system cannot run it without the wrapper.
    printf 'import os, sys\nsys.executable = os.environ["ARM_PYTHON"]\n' > site/sitecustomize.py
    touch site.complete
fi

cd "$checkout"
export ARM_PYTHON=$folder/python PYTHONPATH=$checkout:$folder/site
export NUMBA_CACHE_DIR=$folder/kernels PHOTODNA_NB_TEST_CACHE=$folder/kernels
mkdir -p "$folder/kernels"
"$ARM_PYTHON" -c 'import platform, llvmlite.binding as llvm, numba, numpy, PIL
from photodna_nb.kernels import vector
print(platform.machine(), "Python", platform.python_version(), "NumPy", numpy.__version__, "Numba", numba.__version__,
    "Pillow", PIL.__version__, *vector.target())'
if [ $# = 0 ]; then set -- tests/test_{golden,hashing,pairs,search,filter,groups}.py; fi
exec "$ARM_PYTHON" -m pytest -n 0 -p no:cacheprovider -rs "$@"
