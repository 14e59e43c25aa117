"""Odd and hostile files of weights are read rightly or refused in words (`odd_weights`)."""

import pytest
from odd_weights import (
    FILES,
    REFUSED,
    WEIGHTS_OF_RESNET20,
    Outcome,
    complaints,
    measured,
    write,
)

from ablax.errors import WeightsError
from ablax.weights.files import open_file

# Refused before a tensor is compared with a network's, and made and read in no time.
COMPARED = ("missing", "another shape", "left over", "conv1.weight")
LARGE = ("deep_", "many_", "dict_", "huge_dec", "caffe_many", "h5_gzip", "h5_long", "shared_")
QUICK = [
    name
    for name, odd in FILES.items()
    if odd.outcome == REFUSED
    and odd.words
    and not any(part in odd.words for part in COMPARED)
    and not any(part in name for part in LARGE)
    and name.startswith(
        ("harm_", "row_", "st_", "caffe_", "h5_", "billion_laughs", "persistent_", "huge_int")
    )
]
BOMBS = [
    *("billion_laughs.pth", "billion_classes.pth", "row_keys_bomb.pth"),
    *("shared_storage_x2000.pth", "shared_by_all.pth", "row_count_2_34.pth"),
    *("h5_unwritten_4TB.h5", "h5_gzip_2GB.h5", "h5_wide_chunks.h5", "h5_long_names.h5"),
]
PEOPLES = [
    *("t_torchvision_reference.pth", "t_timm_train.pth.tar", "t_lightning.ckpt"),
    *("t_averaged_model.pth", "pre_module_orig_mod.pth", "t_channels_last.pth", "fp16.safetensors"),
    *("t_bn_narrow.pth", "t_fp8.pth", "resnet32_of_another.pth", "name_is_no_text.pth"),
]


def test_odd_files_are_refused_in_words_before_anything_is_built(tmp_path):
    """In a refusal, or as the flaw of a tensor; `make odd-weights` compares all with a network."""
    assert len(QUICK) > 60
    wrong = []
    for name, path in write(tmp_path, QUICK).items():
        try:
            with open_file(path) as file:
                said = " ".join(each.flaw for nest in file.nests.values() for each in nest.values())
        except WeightsError as error:
            said = str(error)
        if FILES[name].words not in said:
            wrong.append(f"{name}: {said}")
    assert not wrong


@pytest.mark.slow
def test_what_people_have_is_read_and_bombs_stay_in_bounds_of_time_and_memory(tmp_path):
    names = [*PEOPLES, *BOMBS]
    write(tmp_path, ["ok_plain.pth", *names])
    good, found = measured(tmp_path, names, limit=900)
    assert sorted(each.name for each in found) == sorted(names)
    assert complaints(found, good) == []


def test_the_check_of_outcomes_notices_each_way_to_be_wrong():
    good = Outcome("ok_plain.pth", "read", "", 1.0, 10**8, 5.0)
    peak = good.peak + 4 * WEIGHTS_OF_RESNET20 + 2**25
    wrong = [
        good._replace(outcome="traceback"),
        good._replace(seconds=11.0),
        good._replace(numbers=5.1),
        good._replace(peak=peak),
        good._replace(message="line\n" * 11),
        Outcome("html.pth", "refused", "no words", 0.1, 10**8),
    ]
    assert complaints([good], good) == []
    assert [len(complaints([each], good)) for each in wrong] == [1] * len(wrong)
