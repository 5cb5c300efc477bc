"""Bytes between devices, of a program that is written out and of one that is compiled."""

from experiments.scaling.traffic import Exchange, find_exchanges, sent_by_a_device

PROGRAM = """\
%x = f32[1,1,256,64]{3,2,1,0} collective-permute(%bitcast.1), channel_id=1
%y = (f32[], f32[1,8,8]{2,1,0}, /*index=2*/bf16[4]{0}) all-reduce(%a, %b, %c), to_apply=%add
%z = f32[] get-tuple-element(%y), index=0, metadata={op_name="jit(f)/all-reduce"}
ROOT %w = f32[1,32]{1,0} all-gather(%c), dimensions={1}
"""


def test_exchanges_are_read_with_the_bytes_that_they_make():
    assert [*find_exchanges(PROGRAM)] == [
        Exchange("collective-permute", 4 * 256 * 64),
        Exchange("all-reduce", 4 + 4 * 64 + 2 * 4),
        Exchange("all-gather", 4 * 32),
    ]


def test_a_device_sends_what_a_ring_makes_it_send():
    exchanges = [
        Exchange("all-reduce", 800),
        Exchange("all-gather", 400),
        Exchange("all-reduce", 80),
    ]
    sent = sent_by_a_device([*exchanges, Exchange("collective-permute", 64)], 4)
    assert sent == {"all-reduce": 1320.0, "all-gather": 300.0, "collective-permute": 64.0}
