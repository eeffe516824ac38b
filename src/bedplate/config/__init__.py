"""Configuration: declared as classes, read from files, environment and flags, checked at once.

The front door of the room. Importing it loads nothing that is not needed to declare a section and
load a small file: no third-party package, no asyncio, argparse or logging.
"""

from bedplate._floor.secret import Secret as Secret
from bedplate._floor.url import Host as Host
from bedplate._floor.url import Url as Url
from bedplate.config.auditing import Audit as Audit
from bedplate.config.auditing import audit as audit
from bedplate.config.auditing import audit_start as audit_start
from bedplate.config.auditing import check as check
from bedplate.config.live import Changes as Changes
from bedplate.config.live import Config as Config
from bedplate.config.live import Snapshot as Snapshot
from bedplate.config.option import Section as Section
from bedplate.config.option import option as option
from bedplate.config.render import Candidate as Candidate
from bedplate.config.render import Explanation as Explanation
from bedplate.config.render import Row as Row
from bedplate.config.report import file_lines as file_lines
from bedplate.config.report import findings_json as findings_json
from bedplate.config.report import findings_sarif as findings_sarif
from bedplate.config.report import findings_text as findings_text
from bedplate.config.report import tell as tell
from bedplate.config.schema import Schema as Schema
from bedplate.config.schema_file import read_schema as read_schema
from bedplate.config.schema_file import write_schema as write_schema
from bedplate.config.settle import Change as Change
from bedplate.config.specs import OptionSpec as OptionSpec
from bedplate.config.specs import SectionSpec as SectionSpec
from bedplate.config.tree import Origin as Origin
from bedplate.config.types import ByteSize as ByteSize
from bedplate.config.types import Duration as Duration
from bedplate.config.types import HostAddress as HostAddress
from bedplate.config.types import HostName as HostName
from bedplate.config.types import HostPort as HostPort
from bedplate.config.types import Port as Port
from bedplate.config.types import Repeated as Repeated
from bedplate.config.types import Uri as Uri
from bedplate.errors import Finding as Finding

__all__ = [
    "Audit",
    "ByteSize",
    "Candidate",
    "Change",
    "Changes",
    "Config",
    "Duration",
    "Explanation",
    "Finding",
    "Host",
    "HostAddress",
    "HostName",
    "HostPort",
    "OptionSpec",
    "Origin",
    "Port",
    "Repeated",
    "Row",
    "Schema",
    "Secret",
    "Section",
    "SectionSpec",
    "Snapshot",
    "Uri",
    "Url",
    "audit",
    "audit_start",
    "check",
    "file_lines",
    "findings_json",
    "findings_sarif",
    "findings_text",
    "option",
    "read_schema",
    "tell",
    "write_schema",
]
