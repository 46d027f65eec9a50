"""The forms of administration, each with the permission that it needs."""

from typing import Annotated

from app.access import Permission
from app.web.forms import Sent, sent

AccountsForm = Annotated[Sent, sent(Permission.ACCOUNTS)]
KeysForm = Annotated[Sent, sent(Permission.KEYS)]
WebhooksForm = Annotated[Sent, sent(Permission.WEBHOOKS)]
AuditForm = Annotated[Sent, sent(Permission.AUDIT)]
