"""The same application on Ray Serve: several copies of it, on one machine or on many.

Each replica is a whole server: its model, its queue, its limits. Ray's proxy spreads requests over
them, starts more where there is more to do, and replaces those that die. Since a conversation lives
in its request alone, any replica may answer any request.
"""

import logging
import os
import re
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from openmmb.chat.bot import Bot
from openmmb.errors import ConfigError
from openmmb.serve.app import create_app
from openmmb.serve.config import ServeConfig
from openmmb.serve.server import host_names, listen, url_of
from openmmb.serve.service import Hosted

NAME: Final = "openmmb"
STORE: Final = 80 * 2**20
"""Bytes of Ray's store of objects, of which this needs none; Ray takes no fewer."""
LOGGING: Final = {"log_level": "WARNING", "enable_access_log": False}
"""What Ray Serve writes down: as little as the server on one machine does."""
SPARE: Final = 8
"""Requests beyond those at hand that a replica takes, to tell them itself to come later."""


def serve_on_ray(
    loader: Callable[[], Bot | Hosted],
    config: ServeConfig,
    *,
    host: str,
    port: int,
    replicas: int,
    max_replicas: int,
    on_start: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve from replicas until the process is told to end; then finish the replies at hand.

    Args:
        loader: Loads the bot, in each replica.
        config: What each replica allows.
        host: Address that Ray's proxy listens at.
        port: Its port; 0: any that is free.
        replicas: Least number of replicas.
        max_replicas: Largest number of replicas; there are more when requests wait.
        on_start: Told the server's URL when all of the first replicas answer.

    Raises:
        ConfigError: Ray is not installed, the counts contradict, the address cannot be had, or a
            replica cannot be started.
    """
    if not 1 <= replicas <= max_replicas:
        raise ConfigError(f"replicas: expected from 1 to {max_replicas}, got {replicas}")
    handler = signal.getsignal(signal.SIGTERM)
    ray = import_ray()
    application = _application(
        ray, loader, config, host=host, replicas=replicas, max_replicas=max_replicas
    )
    with listen(host, port) as listener:  # free now, and a number for port 0
        url, port = url_of(host, listener), listener.getsockname()[1]
    shared = "RAY_ADDRESS" in os.environ
    _join_cluster(ray, shared=shared)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # the caller's: Ray has put its own there
    try:
        ray.serve.start(http_options={"host": host, "port": port}, logging_config=LOGGING)
        _start(ray, application)
        on_start(url)
        threading.Event().wait()
    finally:
        ray.serve.delete(NAME)  # waits for the replies at hand, which still go through the proxy
        if not shared:
            ray.serve.shutdown()
        ray.shutdown()


def _join_cluster(ray: Any, *, shared: bool) -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody
    level = logging.WARNING
    if shared:
        ray.init(log_to_driver=False, logging_level=level)
        return
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a machine may be busy
    ray.init(
        include_dashboard=False,
        object_store_memory=STORE,
        log_to_driver=False,
        logging_level=level,
    )


def _start(ray: Any, application: Any) -> None:
    """Start the replicas.

    Raises:
        ConfigError: One cannot be started; says what the last line of its traceback does.
    """
    try:
        ray.serve.run(application, name=NAME, route_prefix="/")
    except RuntimeError as error:
        deployments = ray.serve.status().applications[NAME].deployments.values()
        lines = [line for one in deployments for line in one.message.splitlines() if line.strip()]
        reason = lines[-1] if lines else str(error)
        reason = re.sub(r"^openmmb\.errors\.\w+: ", "", reason.strip())
        raise ConfigError(f"a replica could not be started: {reason}") from None


def _application(
    ray: Any,
    loader: Callable[[], Bot | Hosted],
    config: ServeConfig,
    *,
    host: str,
    replicas: int,
    max_replicas: int,
) -> Any:
    hosts = host_names(host, config)

    def build() -> Any:
        return create_app(loader(), config, hosts=hosts)  # Ray sends nothing before it is loaded

    scaling = {
        "min_replicas": replicas,
        "max_replicas": max_replicas,
        "target_ongoing_requests": max(1, config.max_waiting // SPARE),
    }
    deployment = ray.serve.deployment(
        name=NAME,
        max_ongoing_requests=config.max_waiting + SPARE,
        autoscaling_config=scaling,
        logging_config=LOGGING,
        graceful_shutdown_timeout_s=config.time_limit,
    )
    return deployment(ray.serve.ingress(build)()).bind()


def import_ray() -> Any:
    """Return the module ``ray`` with Ray Serve.

    Raises:
        ConfigError: Ray is not installed.
    """
    try:
        import ray.serve
    except ModuleNotFoundError as error:
        raise ConfigError(f"needs {error.name}; use pip install 'openmmb[cluster]'") from None
    return ray
