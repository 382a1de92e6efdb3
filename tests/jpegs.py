"""JPEGs of every kind, made here: by Pillow and OpenCV, by hand, and four small ones made by cjpeg."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tests import photographs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

PHOTOGRAPH = photographs.pixels(2, 48, 40)
EOI = b"\xff\xd9"

MADE_BY_CJPEG = {  # -quality 60, of the same photograph: what neither Pillow nor OpenCV writes
    "arithmetic": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47p"
        "HU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2J01*fPC;%"
        "`60U`hb5di}c0sqVZ3IGrg1pyEd1^?Or3<CiG0ucid06zfIXj0G>K+tetBP&kTE=%K3NB;oJZzLEW7bX5Hr0Pr$O^L1d9&>Mio$5C&BZ"
        "N#P%H$*m5E5=K<-}S5VvE-m&6I+EDNnkLep`3EgZ6+tuij_cr|hFp*L7pA^EW`duTm=Qq0HU$4V!|04x2B$&g+(w-"
        "p)C4il|TX)lZ)o1^)oz6k}Sts1$4lR0&dAr39yr@bjlc#vBu;0-"
        "V#)v(?pc#`0^nXNu`iBxne&V0fKSj`$vMkNBc*ikEt<d4`&agMK~P5zxNbltfR&nn!#(fd(!yZ*d0@uI+J%hQo%Tt-}`Nvps`(TEPF="
    ),
    "progressive arithmetic": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47p"
        "HU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2K01*fPC;%"
        "`60U`hb5di}c0sqVZ1^^HN5dYc$3<CiG0uTcb0005e-D-$5X?r`xqnOcsMOFNxI-gr84C8E%sBSazo2_D9Nb;nU-"
        "u*2$8KD+@`AIp*!2iqu1P}%P+5iXv0RRC70u)7K$<D`St1-E2n|!-"
        "vmp4sr1iT2fNWx#f82ZYgb6!CI%m4%t1^?Or2mu2D0Y3pAn4Ro$YV!}*Hxp_cxblc%XTfuou>Z^e1Q7-"
        "Q+5iXv0s#R(0Yi2Lif)y%P6zZotv+Bv^#^%SRI2pa`FI*L{cNEB%m4%s1^?Or2mt{A20sF@|I7dc5C#9*00;pA00BQC<vfnnI9eX9ZL$"
        "REav680R2DuNA7|;H|Jncy0|5X600RI301#>eXL)vyp#RJO1Q7-"
        "Q+5iXv0|5a)5VFdN6~GXn{429$|I7dc5e5I+00;pB0RcY{$mp;L)_;;g&DNqdp8w1M1P}%P+5iXv0RRC%5Xce+-"
        "^>>q>rv#izblVg9b$$`YK5QgXB-uUT<_G|<HJKH@9zo|Nug%{*#"
    ),
    "a scan for each colour": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47p"
        "HU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2A01*fPC;%"
        "`60U`hb5di}c0sq7R7ytnQ0RaI30000000000000IB1Ooy8!~h@=009F900RL400000000000RRF61O*WiAtEs{QUBTi2mt{A06zd#Xr"
        "&E}rwWxx42+@onvZ=&rITqrs@B1m1fG;)FiN#Vz{tYQbDTAYs3qc{mma8*ouo-EOyEdbb&XnM^^7Q2iSXA9pw}68k=<G88<&Kt*xUfA%"
        "_gy`?~@VxMz1q)^$x3k(j1l2hwK!lhm8mEcB+%Wt91^<XqDz~uA-"
        "C4nO6IDONJ7PFmwyrvEsk~!~hrp00RL50000000000000000|W*K0{_GS9uWWm1OfvA0000000000000930RjXC5e5<>6aU%(2mt~S06"
        "zc?n@|+A$P8i~w9Bz$drNXtq54}g(J}b85c^3bdgKE7WTzjhEwkxXWQie%%FK>Q5Z;}C|HJ?p0RRF60RR91000000000000jmB0s{yC!"
        "~h%-00IL60RaI300000000000RsR61Q7)iA^+L{2mu2T06ze_lh#JXTB%e-_WcgrfMI2@3(a=z`CkO*x^HJTGEtT{lU<3V37&wr_J9A`"
    ),
    "unusual sampling": (
        "|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47p"
        "HU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2A01*fPC;%"
        "`60U`hbAprvs0sq7R8UO$T00RL40000000000000051_A>F0sq7RAP@in0|fvB0RR9100000000310s{mE5fULHF)~sA!~hxr00IL60R"
        "R9100000000001qJ{D1Oo^E!~h@>00IL50{{X800000000000RsR61O*Wx5-"
        "}AbGXL5D3<CiG0ucid06ze#v{Ht~(}c>ThDKI2Obm=JYn<V%Jyv^GxIWy4N7TBL+a%TIqu*4tvTY}{&hb!7k5Wj^(kM3G-"
        "%{N%k+D{)RUcahTopYi#9);@YG(qWY1TDg$J+k@b3%B!gV~6j-yz+|20CN)j3ify@Yf8cZ<7)GQ&*X|dX(F-jXq78F}0`IS!@FGV&g8-"
        "JFA|Nxp-LBziAFi*+cdUaKpnMfiU2~MUQ7)yM8O^N{eG~0%tUu#+K0Wp#Ck@Qg{`ILzK7`yp=)dPd(FnIkDYCu^N)R&GpnF1jUtP`Xkp"
        "Ll~n_w87Rve$w}nQtG?Zm;e;U{{ww5P<aDqP44UjsB}EuI1?^bzLJ~&JEH>zwjX$-$fiut+`#=BL"
    ),
}


def by_pillow(image: Image.Image = PHOTOGRAPH, **options: Any) -> bytes:
    """As Pillow writes it."""
    out = BytesIO()
    image.save(out, "JPEG", **{"quality": 88, **options})
    return out.getvalue()


def by_opencv(sampling: int, restart: int = 0) -> bytes:
    """With a chroma sampling that Pillow has no name for."""
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    done, data = cv2.imencode(".jpg", np.asarray(PHOTOGRAPH)[:, :, ::-1], options)
    assert done
    return data.tobytes()


def lossless(image: Image.Image) -> bytes:
    """T.81, annex H: each sample less the one left of it, or above it where there is none."""
    samples = np.asarray(image, np.int32).reshape(image.height, image.width, -1)
    before = np.full_like(samples, 128)
    before[1:, 0] = samples[:-1, 0]
    before[:, 1:] = samples[:, :-1]
    bits = "".join(_difference(int(one)) for one in (samples - before).ravel())
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    count = samples.shape[2]
    frame = b"\x08" + image.height.to_bytes(2) + image.width.to_bytes(2) + bytes([count])
    frame += b"".join(bytes([i, 0x11, 0]) for i in range(1, count + 1))
    table = b"\0" + bytes([0, 0, 0, 0, 16]) + bytes(11) + bytes(range(16))  # sixteen categories of five bits each
    scan = bytes([count]) + b"".join(bytes([i, 0]) for i in range(1, count + 1)) + b"\x01\0\0"
    adobe = b"Adobe\0\x64\0\0\0\0\0"  # no transform: three components are red, green and blue
    heads = [(0xEE, adobe), (0xC3, frame), (0xC4, table), (0xDA, scan)]
    return b"\xff\xd8" + b"".join(segment(marker, body) for marker, body in heads) + coded + EOI


def _difference(value: int) -> str:
    category = abs(value).bit_length()
    low = value if value >= 0 else value + (1 << category) - 1
    return f"{category:05b}" + (f"{low:0{category}b}" if category else "")


def segment(marker: int, body: bytes) -> bytes:
    """A marker with what belongs to it."""
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body


def after_start(data: bytes, *segments: bytes) -> bytes:
    """A file with segments put behind its first marker."""
    return data[:2] + b"".join(segments) + data[2:]


def extended(data: bytes) -> bytes:
    """A baseline file that calls itself extended, which it then is."""
    return data.replace(b"\xff\xc0\0", b"\xff\xc1\0", 1)


def ycck() -> bytes:
    """Four components of which Adobe's marker says that three are YCbCr."""
    data = by_pillow(PHOTOGRAPH.convert("CMYK"))
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def scan_starts(data: bytes) -> list[int]:
    """Where the markers of scans stand."""
    return [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]


def without_last_scan(data: bytes) -> bytes:
    """A progressive file without its finest bits, which is a whole file all the same."""
    return data[: scan_starts(data)[-1]] + EOI


def cuts(data: bytes) -> Iterator[int]:
    """Places in the coded data, from early to late."""
    start = scan_starts(data)[0] + 14
    for part in (0.02, 0.1, 0.3, 0.5, 0.6, 0.75, 0.9):
        at = start + int(part * (len(data) - 2 - start))
        yield at if data[at] != 0xFF else at - 2  # behind a whole scan a progressive file may end


GREY = PHOTOGRAPH.convert("L")
USUAL = {
    "4:4:4": by_pillow(subsampling="4:4:4"),
    "4:2:2": by_pillow(subsampling="4:2:2"),
    "4:2:0": by_pillow(subsampling="4:2:0"),
    "4:1:1": by_opencv(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
    "4:4:0": by_opencv(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
    "grey": by_pillow(GREY),
    "red, green and blue": by_pillow(keep_rgb=True),
    "tables of its own": by_pillow(optimize=True),
    "extended": extended(by_pillow()),
    "progressive": by_pillow(progressive=True),
    "progressive grey": by_pillow(GREY, progressive=True),
    "progressive without its finest bits": without_last_scan(by_pillow(progressive=True)),
    "restart markers": by_pillow(restart_marker_rows=1),
    "many restart markers": by_opencv(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, restart=1),
    "progressive with restart markers": by_pillow(progressive=True, restart_marker_rows=1),
    "CMYK": by_pillow(PHOTOGRAPH.convert("CMYK")),
    "progressive CMYK": by_pillow(PHOTOGRAPH.convert("CMYK"), progressive=True),
    "YCCK": ycck(),
}
RARE = {
    "lossless grey": lossless(GREY),
    "lossless colour": lossless(PHOTOGRAPH),
    **{name: base64.b85decode(text) for name, text in MADE_BY_CJPEG.items()},
}
ALL = USUAL | RARE
