"""What other libraries call the layers: examples of every table, and what a table does."""

import pytest

from ablax.weights import names
from ablax.zoo.vgg import A, D

EXAMPLES = {
    "alexnet": {"conv2/conv": "features.3", "fc6/dense": "classifier.1"},
    "densenet": {
        "dense3_24/conv2/bn": "features.denseblock3.denselayer24.norm2",
        "transition1/conv": "features.transition1.conv",
        "conv1/conv": "features.conv0",
    },
    "dpn": {
        "conv4_20/conv2/bn": "features.conv4_20.c3x3_b.bn",
        "conv2_1/projection/bn": "features.conv2_1.c1x1_w_s1.bn",
        "conv3_1/projection/conv": "features.conv3_1.c1x1_w_s2.conv",
        "activation/bn": "features.conv5_bn_ac.bn",
    },
    "googlenet": {
        "conv2/conv": "conv3.conv",
        "inception_3a/branch5x5/large/bn": "inception3a.branch3.1.bn",
        "inception_4b/branch_pool/project/conv": "inception4b.branch4.1.conv",
        "inception_5b/branch1x1/conv": "inception5b.branch1.conv",
        "auxiliary2/hidden/dense": "aux2.fc1",
    },
    "inception_resnet": {
        "inception_resnet_b20/module/branch7x7/conv3/bn": "repeat_1.19.branch1.2.bn",
        "inception_resnet_c10/linear": "block8.conv2d",
        "conv_7b/conv": "conv2d_7b.conv",
        "reduction_a/branch3x3/bn": "mixed_6a.branch0.bn",
        "mixed_5b/branch_pool/project/conv": "mixed_5b.branch3.1.conv",
    },
    "inception_v3": {
        "conv_3b/conv": "Conv2d_3b_1x1.conv",
        "mixed_6b/branch_double/conv4/bn": "Mixed_6b.branch7x7dbl_4.bn",
        "mixed_6a/branch3x3/bn": "Mixed_6a.branch3x3.bn",
        "mixed_5b/branch_pool/project/bn": "Mixed_5b.branch_pool.bn",
        "mixed_7c/branch_double/fork/column/conv": "Mixed_7c.branch3x3dbl_3b.conv",
        "auxiliary/conv1/bn": "AuxLogits.conv1.bn",
    },
    "inception_v4": {
        "inception_b1/branch_double/conv5/bn": "features.11.branch2.4.bn",
        "mixed_3a/conv/conv": "features.3.conv.conv",
        "inception_c3/branch_double/fork/column/conv": "features.21.branch2_3b.conv",
        "inception_c1/branch_pool/project/bn": "features.19.branch3.1.bn",
        "conv_2b/bn": "features.2.bn",
    },
    "mobilenet_v1": {
        "conv2_dw/conv": "blocks.0.0.conv_dw",
        "conv8_pw/bn": "blocks.3.1.bn2",
        "fc": "classifier",
    },
    "mobilenet_v2": {
        "bottleneck3_2/expand/bn": "features.3.conv.0.1",
        "bottleneck2_1/project/conv": "features.1.conv.1",
    },
    "resnet": {
        "res2a/conv1/conv": "layer1.0.conv1",
        "res4b22/conv3/bn": "layer3.22.bn3",
        "res3a/projection/bn": "layer2.0.downsample.1",
    },
    "resnet_preactivation": {
        "res2a/preactivation/bn": "stages.0.blocks.0.norm1",
        "res4b22/conv2/bn": "stages.2.blocks.22.norm2",
        "res3a/projection/conv": "stages.1.blocks.0.downsample.conv",
    },
    "senet": {
        "res2b/conv1/conv": "layer1.1.conv1",
        "res2b/se/excite": "layer1.1.se_module.fc2",
        "conv1_3/bn": "layer0.bn3",
        "classifier/dense": "last_linear",
    },
    "shufflenet_v2": {
        "conv5/bn": "conv5.1",
        "stage2_1/branches/shortcut/conv2/conv": "stage2.0.branch1.2",
        "stage3_8/branches/residual/conv3/bn": "stage3.7.branch2.6",
    },
    "squeezenet_1_0": {
        "conv1/conv": "features.0",
        "fire9/expand/expand3x3/conv": "features.12.expand3x3",
    },
    "squeezenet_1_1": {
        "fire4/squeeze/conv": "features.6.squeeze",
        "classifier/conv": "classifier.1",
    },
    "xception": {
        "entry1/sep2/depthwise": "block1.rep.3.conv1",
        "middle8/sep3/bn": "block11.rep.8",
        "exit1/projection/bn": "block12.skipbn",
        "exit3/pointwise": "conv4.pointwise",
    },
    "caffe_googlenet": {
        "inception_3a/branch5x5/reduce/conv": "inception_3a/5x5_reduce",
        "conv2/conv": "conv2/3x3",
    },
    "caffe_resnet": {
        "res2a/conv3/conv": "res2a_branch2c",
        "res4b22/conv1/bn": "bn4b22_branch2a",
        "res2a/projection/bn": "bn2a_branch1",
        "classifier": "fc1000",
    },
    "cifar_resnet": {"res3b/conv2/bn": "layer2.1.bn2", "classifier": "linear"},
    "keras_mobilenet_v1": {"conv2_dw/conv": "conv_dw_1", "conv14_pw/bn": "conv_pw_13_bn"},
    "keras_xception": {
        "entry2/sep1/depthwise": "block3_sepconv1.depthwise",
        "middle8/sep3/bn": "block12_sepconv3_bn",
        "exit1/projection/conv": "projection4",
        "exit3/pointwise": "block14_sepconv2.pointwise",
    },
}


@pytest.mark.parametrize("family", EXAMPLES)
def test_paths_have_the_names_of_the_library(family):
    table = getattr(names, family)
    assert {path: table(path) for path in EXAMPLES[family]} == EXAMPLES[family]


@pytest.mark.parametrize("family", EXAMPLES)
def test_a_path_that_nobody_knows_is_its_own_name(family):
    for path in ("gate/conv", "conv1/conv/kernel", "se/gone", "inception_9z/branch1x1/gone/conv"):
        assert getattr(names, family)(path) in (path, path.removesuffix("/conv"))


def test_numbers_of_vgg_depend_on_the_layers_in_front():
    assert names.vgg(A)("conv3_1/conv") == "features.6"
    assert names.vgg(D)("conv3_1/conv") == "features.10"
    assert names.vgg(D)("fc8") == "classifier.6"


def test_a_table_asks_the_next_for_what_it_does_not_have():
    first = names.table({"a": "one"}, {r"b(\d)(x)?": lambda n, x: f"two.{n + 1}.{x}"})
    both = names.table({"c": "three"}, {}, otherwise=first)
    assert [both(path) for path in ("a", "b1", "b2x", "c", "d")] == [
        *("one", "two.2.None", "two.3.x", "three", "d")
    ]
