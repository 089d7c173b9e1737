"""Run one OpenSearch node: ``python -m embedded.opensearch_node FOLDER PORT``.

`OpenSearchRunner` has a main class too, which accepts no HTTP port above 9299. So Py4J starts the
JVM and calls the runner. This process ends with the JVM, and the JVM with this process. SIGTERM
closes the node.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from py4j.protocol import Py4JError

from embedded import jars
from embedded.places import OPENSEARCH_LOCK, site_packages

_HTTP = "org.opensearch.transport.Netty4Plugin"


def main(folder: Path, port: int) -> int:
    """Run the node until it ends; return its exit code."""
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    gateway_port, token, process = launch_gateway(
        jarpath=str(next((site_packages() / "pyspark" / "jars").glob("py4j-*.jar"))),
        classpath=jars.class_path(OPENSEARCH_LOCK),
        javaopts=[
            *("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"),
            *("-Djava.net.preferIPv4Stack=true", f"-Djava.io.tmpdir={scratch}"),
        ],
        die_on_exit=True,
        # The signal that ends this process does not reach the JVM before its node is closed.
        create_new_process_group=True,
        redirect_stdout=sys.stdout,
        redirect_stderr=sys.stderr,
        enable_auth=True,
        return_proc=True,
    )
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=gateway_port, auth_token=token))
    arguments = {
        "-basePath": folder,
        "-confPath": folder / "config",
        "-dataPath": folder / "data",
        "-logsPath": folder / "logs",
        "-numOfNode": 1,
        "-baseHttpPort": port - 1,
        "-clusterName": "tollgate",
        "-moduleTypes": _HTTP,
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    argv = gateway.new_array(gateway.jvm.java.lang.String, len(words))
    for number, word in enumerate(words):
        argv[number] = word
    runner = gateway.jvm.org.codelibs.opensearch.runner.OpenSearchRunner()
    runner.setMaxHttpPort(-1)
    try:
        runner.build(argv)
    except Py4JError as problem:
        sys.stderr.write(f"OpenSearch does not start: {problem}\n")
        return 1
    try:
        code: int = process.wait()
    finally:
        if process.poll() is None:
            runner.close()
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2])))
