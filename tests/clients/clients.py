"""The clients: what each needs, how it is built, how it is started.

They are made from the descriptor set of `linli contract descriptor`, as by somebody who has a release and no checkout.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys

from system import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
CONTRACTS = ["linli/access/v1/access.proto", "linli/access/v1/audit.proto"] + [
    f"linli/redemption/v1/{name}.proto" for name in ("redemption", "terminal", "member_code")
]
JARS = (
    "grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub"
    " netty-buffer netty-codec netty-codec-http netty-codec-http2 netty-common netty-handler netty-resolver"
    " netty-transport netty-transport-native-unix-common jctools-core guava protobuf perfmark-api"
    " proto-google-common-protos geronimo-annotation-1.3-spec"
).split()


def quietly(command, **options):
    """Runs an installer or compiler and shows what it said only when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:3])} failed:\n{done.stdout}")


def kept(tools, name, wanted, install):
    """A folder under the tools that `install` fills once for what is `wanted`."""
    with open(wanted, "rb") as file:
        folder = os.path.join(tools, f"clients-{name}-{hashlib.sha256(file.read()).hexdigest()[:12]}")
    done = os.path.join(folder, ".installed")
    if not os.path.exists(done):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        install(folder)
        open(done, "w").close()
    return folder


def python(tools, build, contract):
    """grpcio: stubs made by grpcio-tools."""
    wanted = os.path.join(HERE, "python/requirements.txt")

    def install(folder):
        quietly([sys.executable, "-m", "venv", folder])
        pip = [os.path.join(folder, "bin/pip"), "install", "--disable-pip-version-check", "--no-deps"]
        quietly([*pip, "--requirement", wanted])

    interpreter = os.path.join(kept(tools, "python", wanted, install), "bin/python")
    quietly(
        [interpreter, "-m", "grpc_tools.protoc", f"--descriptor_set_in={contract}"]
        + [f"--python_out={build}", f"--grpc_python_out={build}", *CONTRACTS]
    )
    return [interpreter, os.path.join(HERE, "python/main.py")], {"PYTHONPATH": build, "PYTHONDONTWRITEBYTECODE": "1"}


def node(tools, _build, contract):
    """@grpc/grpc-js: it reads the contract when it starts."""

    def install(folder):
        for file in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "node", file), folder)
        quietly(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)

    folder = kept(tools, "node", os.path.join(HERE, "node/package-lock.json"), install)
    environment = {"NODE_PATH": os.path.join(folder, "node_modules"), "LINLI_CONTRACT": contract}
    return ["node", os.path.join(HERE, "node/main.js")], environment


def java(_tools, build, contract):
    """grpc-java of Debian's packages: stubs made by protoc and its plug-in."""
    jars = [f"/usr/share/java/{jar}.jar" for jar in JARS]
    missing = [command for command in ("javac", "protoc", "grpc_java_plugin") if shutil.which(command) is None]
    missing += [jar for jar in jars if not os.path.exists(jar)]
    if missing:
        raise Failed(
            f"{missing[0]} is missing: install a JDK from 17 on and the packages in tests/clients/java/packages"
        )
    stubs, classes = os.path.join(build, "stubs"), os.path.join(build, "classes")
    os.makedirs(stubs)
    plugin = f"--plugin=protoc-gen-grpc={shutil.which('grpc_java_plugin')}"
    quietly(["protoc", f"--descriptor_set_in={contract}", plugin, f"--java_out={stubs}", f"--grpc_out={stubs}", *CONTRACTS])
    quietly(["protoc", f"-I{HERE}/java", f"--java_out={stubs}", "error_info.proto"])
    sources = glob.glob(os.path.join(stubs, "**/*.java"), recursive=True) + glob.glob(os.path.join(HERE, "java/*.java"))
    path = ":".join([*jars, classes])
    quietly(["javac", "-nowarn", "-encoding", "UTF-8", "-cp", path, "-d", classes, *sources])
    return ["java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp", path, "Main"], {}


def web(_tools, _build, _contract):
    """fetch, as a mini-program has it: JSON, and nothing to install."""
    return ["node", os.path.join(HERE, "web/main.mjs")], {}


ALL = {"python": python, "node": node, "java": java, "web": web}
