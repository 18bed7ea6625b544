"""Tells people of an alarm: a JSON post to a webhook and an e-mail. What cannot be delivered is logged and told; it fails no check."""

import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx
import structlog

from app.watch_config import WatchConfig
from evals.drift.alarms import Settled
from evals.drift.records import Alarm

log = structlog.get_logger("assay.alerts")
SAID = {"opened": "opened", "confirmed": "confirmed", "closed": "is over"}


@dataclass(frozen=True)
class Delivery:
    way: str
    ok: bool
    reason: str = ""


def deliver(config: WatchConfig, settled: Settled) -> Iterator[Delivery]:
    """Use every way that is configured."""
    alarm = settled.alarm
    if alarm is None:
        return
    if config.webhook.get_secret_value():
        yield _tried("webhook", lambda: _post(config, settled.event, alarm))
    if config.smtp.host and config.smtp.to:
        yield _tried("email", lambda: _mail(config, settled.event, alarm))


def payload(event: str, alarm: Alarm, url: str = "") -> dict[str, Any]:
    """What a webhook gets; `text` alone is what chat programs show. Example questions stay here: they are somebody's words."""
    return {
        "text": headline(event, alarm),
        "event": event,
        "alarm": alarm.model_dump(mode="json", exclude={"causes"}),
        "causes": [cause.model_dump(mode="json", exclude={"examples"}) for cause in alarm.causes],
        "link": f"{url}/dashboard/alarms/{alarm.id}" if url else "",
    }


def headline(event: str, alarm: Alarm) -> str:
    harm = f", {alarm.harm:.3f} {alarm.harm_unit} lost" if alarm.harm else ""
    return f"Drift in {alarm.watch}: alarm {SAID.get(event, event)}{harm}. {alarm.cause}".strip()


def _tried(way: str, send) -> Delivery:
    try:
        send()
    except (httpx.HTTPError, smtplib.SMTPException, OSError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        log.warning(
            "alert.undelivered", way=way, reason=reason if way != "webhook" else type(error).__name__
        )  # its address may be a secret
        return Delivery(way, False, reason)
    return Delivery(way, True)


def _post(config: WatchConfig, event: str, alarm: Alarm) -> None:
    body = payload(event, alarm, config.url)
    reply = httpx.post(config.webhook.get_secret_value(), json=body, timeout=config.webhook_timeout_s)
    if reply.is_error:
        raise ValueError(f"it answered {reply.status_code}")


def _mail(config: WatchConfig, event: str, alarm: Alarm) -> None:
    smtp = config.smtp
    message = EmailMessage()
    message["Subject"] = f"[assay] Drift in {alarm.watch}: {SAID.get(event, event)}"
    message["From"], message["To"] = smtp.sender, ", ".join(smtp.to)
    causes = "\n".join(f"- {cause.told} {cause.action}" for cause in alarm.causes)
    link = f"\n{config.url}/dashboard/alarms/{alarm.id}\n" if config.url else ""
    message.set_content(
        f"{headline(event, alarm)}\n\n{causes}\n\nTo do: {alarm.action}\n{link}\nassay drift alarms {alarm.id}\n"
    )
    with smtplib.SMTP(smtp.host, smtp.port, timeout=config.webhook_timeout_s) as server:
        if smtp.starttls:
            server.starttls(context=ssl.create_default_context())
        if smtp.user:
            server.login(smtp.user, smtp.password.get_secret_value())
        server.send_message(message)
