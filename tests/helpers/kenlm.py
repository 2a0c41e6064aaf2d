"""Binary files of KenLM, made by its build_binary from the file that `helpers.arpa.SMALL` holds."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

BINARY = {
    "probing": (
        "c-qU&O)OBz$yLZGDJihh*U!#KO-##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFYNOdhaD7Gs0b"
        "EKr(>0TqDc1+%j+UlJE*2kDocqq)%cXnq|l18%^T^ZjFO@q=u1vkK}I_gc1<g6%ff(wbEJr~4HPhVBFVL7re>ICf~(%$fUU&6Ko<"
        "@EPpSp7GgdY-|jq&+JW0O9S!u!gO(bV#;XQXe<nrvjZyM*I4xSLv3|UD@ZL6@7uMExld}<zHJ~gq2}QQnr-G6_8e+f0NP;(Qm^)<"
        "o$rtB#5`m>K_KwTRE3my<szUv_t})@W!o{>6a%q7kVs@m0&)rxlT+;&05AS<3j"
    ),
    "trie": (
        "c-qU&O)OBz$yLZGDJihh*U!#KO-##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFYNOdhajf{KAK"
        "8&r-3N;4su#0sSg>J;}{wv{pnW@lf%BreX*mGk{$ZSjL_**TgEeUIkXnQLiHs{Pab3Ze7Bevm^D{9}h^&78Rp$>{xO&-lRkvt~+y"
        ")x+GGmX-#R-wSh#v9U3be`YT;11ex)zz#Cg(%zXG8~?tPmZl~T<SSe~bLI=k@MS=gfdUKiVJbObj7w+Ed{{bj=1O*Cb8JfUvh5gb"
        "itQK@8Eo{6LCk{0<WxI`BnAMOELhb"
    ),
    # build_binary -v
    "wordless": (
        "c-qU&O)OBz$yLZGDJihh*U!#KO-##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFYNOdhaDQp~^x"
        "rCFdf69Xy$$qQy@U%n(R&JNNqJ4bV&@6r4^RtDUFE9d*i+TsV<=w=nvDekpwD+Rm9TuW<G?Vs*fEEu{E><4**f#KMpSu<zun>AC?"
        "9>Qm^KYPY!pRutqkUq0FEiDbi-wV^l@rfy;Wuvh$P|gmhd|zYH+YhzXHLW1EK)i3)GUh(1Rr|Jq%!HbU7ihMbU)Xb~SpjH=9Z0>}"
        "mv+8CwiEM^?F50qD^nFx;+2bl?%W3ew@qm9"
    ),
}


def binary(folder: Path, kind: str) -> Path:
    """Write a file of a kind."""
    path = folder / f"{kind}.bin"
    path.write_bytes(zlib.decompress(base64.b85decode(BINARY[kind])))
    return path
