"""Annotations in the official formats, with all that people and programs do to such files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schedplan.errors import UsageError
from schedplan_video.data.index import (
    Annotations,
    read_activitynet,
    read_csv,
    read_hmdb51,
    read_kinetics,
    read_ssv1,
    read_ssv2,
    read_ucf101,
)


def write(folder: Path, files: dict[str, str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return [folder]


def facts(annotations: Annotations) -> list[tuple]:
    return [(row.path, row.class_name, row.split) for row in annotations.rows]


KINETICS = {
    "train.csv": (
        "label,youtube_id,time_start,time_end,split,is_cc\n"
        "abseiling,-3B32lodo2M,59,69,train,0\n"
        '"air drumming",_dbcJuKJQNs,0,10,train,0\n'
        '"faceplanting, hard",---QUuC4vJs,84,94,train,1\n'
    ),
    "val.csv": (
        "label,youtube_id,time_start,time_end,split,is_cc\nabseiling,0a1b2c3d4e5,1000,1010,val,0\n"
    ),
    "test.csv": "youtube_id,time_start,time_end,split\n5e4d3c2b1a0,3,13,test\n",
}


def test_kinetics(tmp_path):
    annotations = read_kinetics(write(tmp_path, KINETICS))
    assert annotations.classes == ("abseiling", "air drumming", "faceplanting, hard")
    assert sorted(facts(annotations)) == [
        ("---QUuC4vJs_000084_000094.mp4", "faceplanting, hard", "train"),
        ("-3B32lodo2M_000059_000069.mp4", "abseiling", "train"),
        ("0a1b2c3d4e5_001000_001010.mp4", "abseiling", "test"),
        ("_dbcJuKJQNs_000000_000010.mp4", "air drumming", "train"),
    ]
    assert {row.group for row in annotations.rows} >= {"-3B32lodo2M", "---QUuC4vJs"}
    assert annotations.left_out == {"of the official test set": 1}


def test_kinetics_of_other_years_names_its_splits_otherwise(tmp_path):
    text = (
        "label,youtube_id,time_start,time_end,split\n"
        "testifying,---QUuC4vJs,84.0,94.0,validate\n"
        "testifying,--GkrdYZ9Tc,0,10,train\n"
        "testifying,--nQbRBEz2s,104,114,holdout_test\n"
    )
    paths = write(tmp_path, {"kinetics.csv": text})
    assert [split for _, _, split in facts(read_kinetics(paths))] == ["test", "train"]


UCF101 = {
    "classInd.txt": "1 ApplyEyeMakeup\n2 HandstandPushups\n",
    "trainlist01.txt": (
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\n"
        "HandstandPushups/v_HandStandPushups_g08_c02.avi 2\n"
    ),
    "testlist01.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\n",
    "trainlist02.txt": (
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1\n"
        "HandstandPushups/v_HandStandPushups_g08_c02.avi 2\n"
    ),
    "testlist02.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi\n",
}


def test_ucf101(tmp_path):
    annotations = read_ucf101(write(tmp_path, UCF101))
    assert annotations.classes == ("ApplyEyeMakeup", "HandstandPushups")
    assert facts(annotations) == [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup", "train"),
        ("HandstandPushups/v_HandStandPushups_g08_c02.avi", "HandstandPushups", "train"),
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup", "test"),
    ]
    assert [row.group for row in annotations.rows] == [
        "ApplyEyeMakeup_g08",
        "HandstandPushups_g08",
        "ApplyEyeMakeup_g01",
    ]


def test_what_is_no_line_of_ucf101_is_refused(tmp_path):
    paths = write(tmp_path, UCF101)
    broken = tmp_path / "testlist01.txt"
    broken.write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi x\n")
    with pytest.raises(UsageError, match=r"testlist01\.txt:1: '.*\.avi x' is no video; allowed"):
        read_ucf101(paths)


def test_ucf101_has_folds(tmp_path):
    paths = write(tmp_path, UCF101)
    assert facts(read_ucf101(paths, fold=2))[0][0] == "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    with pytest.raises(UsageError, match=r"trainlist03"):
        read_ucf101(paths, fold=3)


HMDB51 = {
    "brush_hair_test_split1.txt": (
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \n"
        "Silky Straight Hair!_brush_hair_h_nm_np1_fr_goo_0.avi 2 \n"
        "other_brush_hair_h_nm_np1_fr_goo_0.avi 0 \n"
    ),
    "brush_hair_test_split2.txt": "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 2 \n",
    "wave_test_split1.txt": "20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 1 \n",
}


def test_hmdb51(tmp_path):
    annotations = read_hmdb51(write(tmp_path, HMDB51))
    assert annotations.classes == ("brush_hair", "wave")
    assert facts(annotations) == [
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush_hair", "train"),
        ("brush_hair/Silky Straight Hair!_brush_hair_h_nm_np1_fr_goo_0.avi", "brush_hair", "test"),
        ("wave/20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi", "wave", "train"),
    ]
    assert [row.group for row in annotations.rows] == [
        "April_09",
        "Silky Straight Hair!",
        "20060723sfjffbartsinger",
    ]
    assert annotations.left_out == {"not in this fold": 1}


def test_hmdb51_has_folds(tmp_path):
    paths = write(tmp_path, HMDB51)
    assert [split for _, _, split in facts(read_hmdb51(paths, fold=2))] == ["test"]
    with pytest.raises(UsageError, match=r"\*_test_split3\.txt"):
        read_hmdb51(paths, fold=3)


def activitynet(**database: object) -> dict[str, str]:
    taxonomy = [
        {"nodeName": "Root", "parentName": None},
        {"nodeName": "Sports", "parentName": "Root"},
        {"nodeName": "Discus throw", "parentName": "Sports"},
        {"nodeName": "Shot put", "parentName": "Sports"},
    ]
    content = {"version": "VERSION 1.3", "taxonomy": taxonomy, "database": database}
    return {"activity_net.v1-3.min.json": json.dumps(content)}


def video(subset: str, *labels: tuple[str, float]) -> dict[str, object]:
    annotations = [{"label": label, "segment": [1.5, 1.5 + seconds]} for label, seconds in labels]
    return {"subset": subset, "duration": 90.0, "annotations": annotations}


def test_activitynet(tmp_path):
    database = {
        "5n7NCViB5TU": video("training", ("Discus throw", 3), ("Discus throw", 4)),
        "--two": video("training", ("Discus throw", 3), ("Shot put", 4)),
        "val": video("validation", ("Shot put", 1)),
        "test": video("testing"),
    }
    annotations = read_activitynet(write(tmp_path, activitynet(**database)))
    assert annotations.classes == ("Discus throw", "Shot put")
    assert facts(annotations) == [
        ("v_5n7NCViB5TU.mp4", "Discus throw", "train"),
        ("v_--two.mp4", "Shot put", "train"),
        ("v_val.mp4", "Shot put", "test"),
    ]
    assert annotations.left_out == {"of the official test set, without labels": 1}


SSV1 = {
    "something-something-v1-labels.csv": (
        "Holding something\nLifting up one end of something, then letting it drop down\n"
    ),
    "something-something-v1-train.csv": (
        "100218;Lifting up one end of something, then letting it drop down\n7;Holding something\n"
    ),
    "something-something-v1-validation.csv": "42;Holding something\n",
    "something-something-v1-test.csv": "1420\n3\n",
}


def test_ssv1(tmp_path):
    annotations = read_ssv1(write(tmp_path, SSV1))
    dropping = "Lifting up one end of something, then letting it drop down"
    assert annotations.classes == ("Holding something", dropping)
    assert facts(annotations) == [
        ("100218", dropping, "train"),
        ("7", "Holding something", "train"),
        ("42", "Holding something", "test"),
    ]
    assert annotations.left_out == {"of the official test set, without labels": 2}


SSV2_LABELS = {"Turning something over": "1", "Holding something next to something": "0"}
SSV2 = {
    "something-something-v2-labels.json": json.dumps(SSV2_LABELS),
    "something-something-v2-train.json": json.dumps(
        [
            {
                "id": "78687",
                "label": "holding potato next to vicks vaporub bottle",
                "template": "Holding [something] next to [something]",
                "placeholders": ["potato", "vicks vaporub bottle"],
            }
        ]
    ),
    "something-something-v2-validation.json": json.dumps(
        [{"id": "74225", "template": "Turning [something] over"}]
    ),
    "something-something-v2-test.json": json.dumps([{"id": "1420"}]),
}


def test_ssv2(tmp_path):
    annotations = read_ssv2(write(tmp_path, SSV2))
    assert annotations.classes == ("Holding something next to something", "Turning something over")
    assert facts(annotations) == [
        ("78687.webm", "Holding something next to something", "train"),
        ("74225.webm", "Turning something over", "test"),
    ]
    assert annotations.left_out == {"of the official test set, without labels": 1}


TABLE = {
    "all.csv": (
        "path,class,split,group,notes\n"
        'a/1.mp4,hug,train,s1,"one, two"\n'
        "./a/2.mp4,hug,val,,\n"
        '"b b/1.mp4",kick,test,s2,\n'
    )
}


def test_csv(tmp_path):
    annotations = read_csv(write(tmp_path, TABLE))
    assert facts(annotations) == [
        ("a/1.mp4", "hug", "train"),
        ("a/2.mp4", "hug", "val"),
        ("b b/1.mp4", "kick", "test"),
    ]
    assert [row.group for row in annotations.rows] == ["s1", None, "s2"]
    assert not annotations.movable


def test_csv_with_labels_puts_the_classes_in_their_order(tmp_path):
    paths = write(tmp_path, {"a.csv": "path,label,class\na.mp4,1,hug\nb.mp4,0,kick\n"})
    assert read_csv(paths).classes == ("kick", "hug")
    paths = write(
        tmp_path, {"a.csv": "path,label\n" + "".join(f"{n}.mp4,{n}\n" for n in range(11))}
    )
    assert read_csv(paths).classes == tuple(map(str, range(11)))
    assert {split for _, _, split in facts(read_csv(paths))} == {None}


def test_csv_columns_are_known_in_any_letters(tmp_path):
    text = "Path, split ,CLASS,Group\na.mp4,test,hug,s1\n"
    (row,) = read_csv(write(tmp_path, {"a.csv": text})).rows
    assert (row.path, row.split, row.class_name, row.group) == ("a.mp4", "test", "hug", "s1")
    assert read_csv([tmp_path], {"class": "Group "}).classes == ("s1",)


@pytest.mark.parametrize("other", ["a//1.mp4", "./a/1.mp4", "a/./1.mp4", "a/1.mp4/"])
def test_a_path_is_the_same_however_it_is_written(tmp_path, other):
    text = f"path,class,split\na/1.mp4,hug,train\n{other},hug,test\n"
    with pytest.raises(UsageError, match=r"a\.csv:3: the split of 'a/1\.mp4' is 'test', but 'tr"):
        read_csv(write(tmp_path, {"a.csv": text}))


def test_csv_columns_may_have_other_names(tmp_path):
    paths = write(tmp_path, {"a.csv": "file,action,class\na.mp4,hug,9\n"})
    assert facts(read_csv(paths, {"path": "file", "class": "action"})) == [("a.mp4", "hug", None)]
    with pytest.raises(UsageError, match=r"no column 'clas'.*did you mean 'class'"):
        read_csv(paths, {"clas": "action"})
    with pytest.raises(UsageError, match=r"a\.csv:1: the column 'path' is missing"):
        read_csv(paths)


READERS = {
    "kinetics": (read_kinetics, KINETICS),
    "ucf101": (read_ucf101, UCF101),
    "hmdb51": (read_hmdb51, HMDB51),
    "ssv1": (read_ssv1, SSV1),
    "ssv2": (read_ssv2, SSV2),
    "csv": (read_csv, TABLE),
}
LINES = [name for name in READERS if name != "ssv2"]

VARIANTS = {
    "no final newline": lambda text: text.rstrip("\n"),
    "windows line ends": lambda text: text.replace("\n", "\r\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "blank lines": lambda text: text.replace("\n", "\n\n") + "   \n",
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dataset", READERS)
def test_variants_of_a_file_read_alike(tmp_path, dataset, variant):
    reader, files = READERS[dataset]
    changed = {name: VARIANTS[variant](text) for name, text in files.items()}
    one = reader(write(tmp_path / "one", files))
    other = reader(write(tmp_path / "other", changed))
    assert (facts(other), other.classes) == (facts(one), one.classes)


@pytest.mark.parametrize("dataset", READERS)
def test_files_may_be_named_one_by_one(tmp_path, dataset):
    reader, files = READERS[dataset]
    (folder,) = write(tmp_path, files)
    assert sorted(facts(reader(folder.iterdir()))) == sorted(facts(reader([folder])))


@pytest.mark.parametrize("dataset", LINES)
def test_a_row_that_is_there_twice_counts_once(tmp_path, dataset):
    reader, files = READERS[dataset]
    changed = {
        name: text if "labels" in name or "Ind" in name else text + text.splitlines()[-1] + "\n"
        for name, text in files.items()
    }
    assert facts(reader(write(tmp_path, changed))) == facts(reader(write(tmp_path / "one", files)))


@pytest.mark.parametrize(
    ("dataset", "file", "line", "number", "first"),
    [
        ("kinetics", "train.csv", "laughing,-3B32lodo2M,59,69,train,0", 5, "train.csv:2"),
        ("kinetics", "train.csv", "abseiling,0a1b2c3d4e5,1000,1010,train,0", 2, "train.csv:5"),
        ("ucf101", "testlist01.txt", UCF101["trainlist01.txt"][:45], 2, "trainlist01.txt:1"),
        (
            "hmdb51",
            "wave_test_split1.txt",
            "20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 2",
            2,
            "wave_test_split1.txt:1",
        ),
        ("ssv1", "something-something-v1-validation.csv", "7;Holding something", 2, "train.csv:2"),
        ("csv", "all.csv", "a/1.mp4,kick,train,s1,", 5, "all.csv:2"),
        ("csv", "all.csv", "a/1.mp4,hug,train,s9,", 5, "all.csv:2"),
    ],
)
def test_rows_that_contradict_are_refused_with_both_lines(
    tmp_path, dataset, file, line, number, first
):
    reader, files = READERS[dataset]
    with pytest.raises(UsageError) as caught:
        reader(write(tmp_path, {**files, file: files[file] + line + "\n"}))
    message = str(caught.value)
    assert f":{number}: the " in message
    assert message.endswith(first)


@pytest.mark.parametrize(
    ("dataset", "file", "text", "parts"),
    [
        ("kinetics", "val.csv", "", ["val.csv:1", "empty"]),
        (
            "kinetics",
            "val.csv",
            "label,youtube_id\na,b\n",
            ["val.csv:1", "'time_start' is missing"],
        ),
        ("kinetics", "val.csv", KINETICS["val.csv"] + "a,b,1\n", ["val.csv:3", "3 columns"]),
        ("kinetics", "val.csv", KINETICS["val.csv"] + "a,b,1,x,val,0\n", ["val.csv:3", "'x'"]),
        ("kinetics", "val.csv", KINETICS["val.csv"] + "a,b,1,2,dev,0\n", ["val.csv:3", "'dev'"]),
        ("kinetics", "val.csv", KINETICS["val.csv"] + ",b,1,2,val,0\n", ["val.csv:3", "label"]),
        ("kinetics", "val.csv", KINETICS["val.csv"] + 'a,"b,1,2,val,0\n', ["val.csv:"]),
        *(
            ("kinetics", "val.csv", KINETICS["val.csv"] + f"a,{row},val,0\n", ["val.csv:3", part])
            for row, part in (
                ("b/c,1,2", "'b/c' is no youtube_id"),
                ("b\0,1,2", "one line"),
                ("b,-1,2", "'-1'"),
                ("b,1,nan", "'nan'"),
                ("b,1,1000000", "0 to 999999"),
            )
        ),
        ("ucf101", "classInd.txt", "9" * 5000 + " A\n", ["classInd.txt:1", "NUMBER NAME"]),
        ("ucf101", "classInd.txt", "0 ApplyEyeMakeup\n1 HandstandPushups\n", ["1, 2, 3"]),
        ("ucf101", "classInd.txt", "ApplyEyeMakeup\n", ["classInd.txt:1", "NUMBER NAME"]),
        ("ucf101", "classInd.txt", "1 ApplyEyeMakeup\n2 Archery\n", ["folder is 'Handstand"]),
        (
            "ucf101",
            "classInd.txt",
            UCF101["classInd.txt"] + "3 Archery\n",
            ["no video is of the classes 'Archery'"],
        ),
        ("ucf101", "testlist01.txt", "Archery/v_a_g01_c01.avi\n", ["testlist01.txt:1", "unknown"]),
        (
            "ucf101",
            "trainlist01.txt",
            UCF101["trainlist01.txt"].replace("avi 2", "avi 1"),
            ["trainlist01.txt:2", "class is 1", "numbered from 1"],
        ),
        ("ucf101", "testlist01.txt", "../ApplyEyeMakeup/a.avi\n", ["testlist01.txt:1", "leaves"]),
        ("hmdb51", "wave_test_split1.txt", "a.avi 3\n", ["wave_test_split1.txt:1", "NAME 0|1|2"]),
        ("hmdb51", "wave_test_split1.txt", "a.avi\n", ["wave_test_split1.txt:1", "NAME 0|1|2"]),
        ("hmdb51", "wave_test_split1.txt", "a.avi 0\n", ["no video is of the classes 'wave'"]),
        (
            "ssv1",
            "something-something-v1-train.csv",
            "7;Holding somethin\n",
            ["train.csv:1", "unknown class", "did you mean 'Holding something'"],
        ),
        ("ssv1", "something-something-v1-train.csv", "7\n", ["train.csv:1", "ID;LABEL"]),
        ("ssv1", "something-something-v1-train.csv", "7/8;Holding\n", ["train.csv:1", "ID;LABEL"]),
        (
            "ssv1",
            "something-something-v1-labels.csv",
            "Holding something\n" * 2,
            ["class list has 'Holding something' twice"],
        ),
        ("ssv2", "something-something-v2-train.json", "[{", ["train.json:1", "no JSON"]),
        ("ssv2", "something-something-v2-train.json", "{}", ["train.json: Input", "list, not {}"]),
        ("ssv2", "something-something-v2-train.json", '[{"id": 1}]', ["json: [0].template: Field"]),
        ("ssv2", "something-something-v2-train.json", "[1]", ["json: [0]: ", "dictionary, not 1"]),
        *(
            ("ssv2", "something-something-v2-train.json", text, ["json: [1].id: ", f"not {said}"])
            for value, said in (("null", None), ('""', "''"), ('"a/b"', "'a/b'"))
            for text in [f'[{{"id": 1, "template": "a"}}, {{"id": {value}, "template": "a"}}]']
        ),
        ("ssv2", "something-something-v2-labels.json", '{"a": 0, "b": 1.9}', ["json: b: ", "1.9"]),
        ("ssv2", "something-something-v2-labels.json", '{"Holding": "1"}', ["labels.json", "0"]),
        (
            "ssv2",
            "something-something-v2-labels.json",
            '{"Holding something": "0", "Holding something": "1"}',
            ["labels.json", "twice"],
        ),
        ("csv", "all.csv", "path,class,label\na,hug,1\nb,kick,2\n", ["all.csv:3", "none is 0"]),
        ("csv", "all.csv", "path,class,label\na,hug,0\nb,kick,0\n", ["all.csv:3", "'hug' at"]),
        ("csv", "all.csv", "path,class,label\na,hug,0\nb,hug,1\n", ["list has 'hug' twice"]),
        ("csv", "all.csv", f"path,label\na,{'9' * 5000}\n", ["all.csv:2", "no number from 0"]),
        ("csv", "all.csv", "path,label\na,hug\n", ["all.csv:2", "'hug' is no number"]),
        ("csv", "all.csv", "path,class\na,\n", ["all.csv:2", "no class"]),
        ("csv", "all.csv", "path,class,split\na,hug,dev\n", ["all.csv:2", "unknown split 'dev'"]),
        ("csv", "all.csv", "path,class\n/a.mp4,hug\n", ["all.csv:2", "leaves"]),
        ("csv", "all.csv", "path,class\n,hug\n", ["all.csv:2", "path is empty"]),
        ("csv", "all.csv", 'path,class\na,"h\rg"\n', ["all.csv:3", "class name", "one line"]),
        ("csv", "all.csv", "path,class\n", ["no video"]),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path, dataset, file, text, parts):
    reader, files = READERS[dataset]
    with pytest.raises(UsageError) as caught:
        reader(write(tmp_path, {**files, file: text}))
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[]", ["a.json: Input should be a valid dictionary, not []"]),
        ("{}", ["a.json: database: Field required"]),
        ('{"database": {"a": {"subset": "train"}}}', ["database.a.subset: ", "'training'", "not"]),
        ('{"database": {"a": {"subset": ["training"]}}}', ["subset: ", "not ['training']"]),
        ('{"database": {"a": {"subset": "training"}}}', ["json: a: there is no annotation"]),
        ('{"database": {"a": 1}}', ["json: database.a: ", "dictionary, not 1"]),
        ('{"database": {"a/b": {"subset": "testing"}}}', ["database.a/b", "not 'a/b'"]),
        ('{"database": {}, "taxonomy": [1]}', ["json: taxonomy[0]: "]),
        ("[" * 100_000, ["a.json: ", "lists too deep"]),
        ("9" * 5000, ["a.json: ", "numbers too long"]),
        ('{"database": {}}', ["no video"]),
        ('{"database": {"a": 1, "a": 2}}', ["'a' is there twice"]),
    ],
)
def test_an_activitynet_file_that_cannot_be_used_is_refused(tmp_path, text, parts):
    with pytest.raises(UsageError) as caught:
        read_activitynet(write(tmp_path, {"a.json": text}))
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "place"),
    [
        ('{"label": "b"}', ".segment: Field required"),
        ('{"label": null, "segment": [0, 1]}', ".label: "),
        ('{"label": "", "segment": [0, 1]}', ".label: "),
        ('{"label": "b", "segment": [0]}', ".segment[1]: Field required"),
        ('{"label": "b", "segment": [-1, 1]}', ".segment[0]: "),
        ('{"label": "b", "segment": [0, NaN]}', ".segment[1]: "),
        ('{"label": "b", "segment": [0, 1e400]}', ".segment[1]: "),
        ('{"label": "b", "segment": [5, 4]}', ": a segment should not end before"),
    ],
)
def test_one_annotation_that_cannot_be_used_is_named(tmp_path, annotation, place):
    annotations = f'[{{"label": "a", "segment": [0, 0]}}, {annotation}]'
    text = f'{{"database": {{"it": {{"subset": "training", "annotations": {annotations}}}}}}}'
    with pytest.raises(UsageError) as caught:
        read_activitynet(write(tmp_path, {"a.json": text}))
    assert f"a.json: database.it.annotations[1]{place}" in str(caught.value)


def test_a_label_that_the_taxonomy_does_not_know_is_refused(tmp_path):
    files = activitynet(a=video("training", ("Discus", 1)), b=video("training", ("Shot put", 1)))
    with pytest.raises(UsageError, match="json: a: unknown class 'Discus'"):
        read_activitynet(write(tmp_path, files))


@pytest.mark.parametrize("dataset", READERS)
def test_annotations_that_are_not_there_are_named(tmp_path, dataset):
    reader, _ = READERS[dataset]
    with pytest.raises(UsageError, match="nowhere: there is no such file or folder"):
        reader([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="there are no annotations; allowed: "):
        reader([tmp_path])
