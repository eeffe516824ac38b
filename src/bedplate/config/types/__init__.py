"""The types an option can have: one class a type, each reading, checking and showing values.

A type reads text (`parse`), which means the same in every source, and checks native values
(`accept`) from defaults, overrides and formats that have types. It knows nothing of options,
sections or where a value came from. A type of your own is any object with these methods, named
in ``Annotated[int, YourType()]``.
"""

from bedplate.config.types.around import OptionalType as OptionalType
from bedplate.config.types.around import SecretType as SecretType
from bedplate.config.types.contract import Refused as Refused
from bedplate.config.types.contract import Type as Type
from bedplate.config.types.contract import read as read
from bedplate.config.types.net import CidrType as CidrType
from bedplate.config.types.net import HostAddress as HostAddress
from bedplate.config.types.net import HostName as HostName
from bedplate.config.types.net import HostNameType as HostNameType
from bedplate.config.types.net import HostPort as HostPort
from bedplate.config.types.net import HostPortType as HostPortType
from bedplate.config.types.net import IpType as IpType
from bedplate.config.types.net import Uri as Uri
from bedplate.config.types.net import UriType as UriType
from bedplate.config.types.net import UrlType as UrlType
from bedplate.config.types.numbers import ByteSize as ByteSize
from bedplate.config.types.numbers import ByteSizeType as ByteSizeType
from bedplate.config.types.numbers import Duration as Duration
from bedplate.config.types.numbers import DurationType as DurationType
from bedplate.config.types.numbers import Float as Float
from bedplate.config.types.numbers import Integer as Integer
from bedplate.config.types.numbers import Port as Port
from bedplate.config.types.numbers import RangeType as RangeType
from bedplate.config.types.several import REPEATED as REPEATED
from bedplate.config.types.several import Dict as Dict
from bedplate.config.types.several import FrozenDict as FrozenDict
from bedplate.config.types.several import FrozenList as FrozenList
from bedplate.config.types.several import List as List
from bedplate.config.types.several import Multi as Multi
from bedplate.config.types.several import Repeated as Repeated
from bedplate.config.types.text import Boolean as Boolean
from bedplate.config.types.text import Choice as Choice
from bedplate.config.types.text import DateType as DateType
from bedplate.config.types.text import PathType as PathType
from bedplate.config.types.text import RegexType as RegexType
from bedplate.config.types.text import String as String
from bedplate.config.types.text import Unchecked as Unchecked

__all__ = [
    "REPEATED",
    "Boolean",
    "ByteSize",
    "ByteSizeType",
    "Choice",
    "CidrType",
    "DateType",
    "Dict",
    "Duration",
    "DurationType",
    "Float",
    "FrozenDict",
    "FrozenList",
    "HostAddress",
    "HostName",
    "HostNameType",
    "HostPort",
    "HostPortType",
    "Integer",
    "IpType",
    "List",
    "Multi",
    "OptionalType",
    "PathType",
    "Port",
    "RangeType",
    "Refused",
    "RegexType",
    "Repeated",
    "SecretType",
    "String",
    "Type",
    "Unchecked",
    "Uri",
    "UriType",
    "UrlType",
    "read",
]
