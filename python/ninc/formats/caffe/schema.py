"""The fields of Caffe's messages that matter here, as BVLC/caffe's caffe.proto numbers them.

Of a layer's settings every field is named, also those of no interest: a setting that is not known
may change what the layer computes, so that it is refused.
"""

from __future__ import annotations

from ..protobuf.schema import Schema

BLOB_SHAPE = Schema(dim=(1, "int*"))

# raw_data and its type are those of NVIDIA's Caffe.
BLOB = Schema(
    shape=(7, BLOB_SHAPE),
    num=(1, "int"),
    channels=(2, "int"),
    height=(3, "int"),
    width=(4, "int"),
    data=(5, "floats"),
    double_data=(8, "doubles"),
    raw_data_type=(10, "int"),
    raw_data=(12, "bytes"),
)

_PHASE = {"TRAIN": 0, "TEST": 1}
_STATE = Schema(phase=(1, _PHASE), level=(2, "int"), stage=(3, "text*"))
_RULE = Schema(
    phase=(1, _PHASE),
    min_level=(2, "int"),
    max_level=(3, "int"),
    stage=(4, "text*"),
    not_stage=(5, "text*"),
)

# ---- Settings of layers --------------------------------------------------------------------------

_BATCH_NORM = Schema(
    use_global_stats=(1, "bool"), moving_average_fraction=(2, "float"), eps=(3, "float")
)
_CONCAT = Schema(concat_dim=(1, "int"), axis=(2, "int"))
_CONVOLUTION = Schema(
    num_output=(1, "int"),
    bias_term=(2, "bool"),
    pad=(3, "int*"),
    kernel_size=(4, "int*"),
    group=(5, "int"),
    stride=(6, "int*"),
    weight_filler=(7, "skip"),
    bias_filler=(8, "skip"),
    pad_h=(9, "int"),
    pad_w=(10, "int"),
    kernel_h=(11, "int"),
    kernel_w=(12, "int"),
    stride_h=(13, "int"),
    stride_w=(14, "int"),
    engine=(15, "skip"),
    axis=(16, "int"),
    force_nd_im2col=(17, "skip"),
    dilation=(18, "int*"),
)
_DROPOUT = Schema(dropout_ratio=(1, "float"), scale_train=(2, "bool"))
_ELTWISE = Schema(
    operation=(1, {"PROD": 0, "SUM": 1, "MAX": 2}),
    coeff=(2, "float*"),
    stable_prod_grad=(3, "skip"),
)
_ELU = Schema(alpha=(1, "float"))
_FLATTEN = Schema(axis=(1, "int"), end_axis=(2, "int"))
_INNER_PRODUCT = Schema(
    num_output=(1, "int"),
    bias_term=(2, "bool"),
    weight_filler=(3, "skip"),
    bias_filler=(4, "skip"),
    axis=(5, "int"),
    transpose=(6, "bool"),
)
_LRN = Schema(
    local_size=(1, "int"),
    alpha=(2, "float"),
    beta=(3, "float"),
    norm_region=(4, {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1}),
    k=(5, "float"),
    engine=(6, "skip"),
)
_POOLING = Schema(
    pool=(1, {"MAX": 0, "AVE": 1, "STOCHASTIC": 2}),
    kernel_size=(2, "int"),
    stride=(3, "int"),
    pad=(4, "int"),
    kernel_h=(5, "int"),
    kernel_w=(6, "int"),
    stride_h=(7, "int"),
    stride_w=(8, "int"),
    pad_h=(9, "int"),
    pad_w=(10, "int"),
    engine=(11, "skip"),
    global_pooling=(12, "bool"),
    round_mode=(13, {"CEIL": 0, "FLOOR": 1}),
)
_PRELU = Schema(filler=(1, "skip"), channel_shared=(2, "bool"))
_RELU = Schema(negative_slope=(1, "float"), engine=(2, "skip"))
_SCALE = Schema(
    axis=(1, "int"),
    num_axes=(2, "int"),
    filler=(3, "skip"),
    bias_term=(4, "bool"),
    bias_filler=(5, "skip"),
)
_SIGMOID = Schema(engine=(1, "skip"))
_SOFTMAX = Schema(engine=(1, "skip"), axis=(2, "int"))
_TANH = Schema(engine=(1, "skip"))

# ---- Where pictures come from --------------------------------------------------------------------

_INPUT = Schema(shape=(1, [BLOB_SHAPE]))
_DUMMY_DATA = Schema(
    num=(2, "int*"), channels=(3, "int*"), height=(4, "int*"), width=(5, "int*"),
    shape=(6, [BLOB_SHAPE]),
)  # fmt: skip
_MEMORY_DATA = Schema(channels=(2, "int"), height=(3, "int"), width=(4, "int"))
# Data and ImageData; the first files had these settings here and not in transform_param.
_DATA = Schema(scale=(2, "float"), mean_file=(3, "text"), crop_size=(5, "int"))
_TRANSFORM = Schema(
    scale=(1, "float"),
    mirror=(2, "skip"),
    crop_size=(3, "int"),
    mean_file=(4, "text"),
    mean_value=(5, "float*"),
    force_color=(6, "bool"),
    force_gray=(7, "bool"),
)

# ---- Layers and nets -----------------------------------------------------------------------------

LAYER = Schema(
    name=(1, "text"),
    type=(2, "text"),
    bottom=(3, "text*"),
    top=(4, "text*"),
    blobs=(7, [BLOB]),
    include=(8, [_RULE]),
    exclude=(9, [_RULE]),
    transform_param=(100, _TRANSFORM),
    concat_param=(104, _CONCAT),
    convolution_param=(106, _CONVOLUTION),
    data_param=(107, _DATA),
    dropout_param=(108, _DROPOUT),
    dummy_data_param=(109, _DUMMY_DATA),
    eltwise_param=(110, _ELTWISE),
    image_data_param=(115, _DATA),
    inner_product_param=(117, _INNER_PRODUCT),
    lrn_param=(118, _LRN),
    memory_data_param=(119, _MEMORY_DATA),
    pooling_param=(121, _POOLING),
    relu_param=(123, _RELU),
    sigmoid_param=(124, _SIGMOID),
    softmax_param=(125, _SOFTMAX),
    tanh_param=(127, _TANH),
    prelu_param=(131, _PRELU),
    flatten_param=(135, _FLATTEN),
    batch_norm_param=(139, _BATCH_NORM),
    elu_param=(140, _ELU),
    scale_param=(142, _SCALE),
    input_param=(143, _INPUT),
)

# The first format with a number for each type, "V1". `layer` is what the format before it had.
V1_TYPES = {
    "ABSVAL": 35, "ACCURACY": 1, "ARGMAX": 30, "BNLL": 2, "CONCAT": 3, "CONTRASTIVE_LOSS": 37,
    "CONVOLUTION": 4, "DATA": 5, "DECONVOLUTION": 39, "DROPOUT": 6, "DUMMY_DATA": 32,
    "EUCLIDEAN_LOSS": 7, "ELTWISE": 25, "EXP": 38, "FLATTEN": 8, "HDF5_DATA": 9, "HDF5_OUTPUT": 10,
    "HINGE_LOSS": 28, "IM2COL": 11, "IMAGE_DATA": 12, "INFOGAIN_LOSS": 13, "INNER_PRODUCT": 14,
    "LRN": 15, "MEMORY_DATA": 29, "MULTINOMIAL_LOGISTIC_LOSS": 16, "MVN": 34, "POOLING": 17,
    "POWER": 26, "RELU": 18, "SIGMOID": 19, "SIGMOID_CROSS_ENTROPY_LOSS": 27, "SILENCE": 36,
    "SOFTMAX": 20, "SOFTMAX_LOSS": 21, "SPLIT": 22, "SLICE": 33, "TANH": 23, "WINDOW_DATA": 24,
    "THRESHOLD": 31,
}  # fmt: skip
V1_LAYER = Schema(
    layer=(1, Schema()),
    bottom=(2, "text*"),
    top=(3, "text*"),
    name=(4, "text"),
    type=(5, V1_TYPES),
    blobs=(6, [BLOB]),
    concat_param=(9, _CONCAT),
    convolution_param=(10, _CONVOLUTION),
    data_param=(11, _DATA),
    dropout_param=(12, _DROPOUT),
    image_data_param=(15, _DATA),
    inner_product_param=(17, _INNER_PRODUCT),
    lrn_param=(18, _LRN),
    pooling_param=(19, _POOLING),
    memory_data_param=(22, _MEMORY_DATA),
    eltwise_param=(24, _ELTWISE),
    dummy_data_param=(26, _DUMMY_DATA),
    relu_param=(30, _RELU),
    include=(32, [_RULE]),
    exclude=(33, [_RULE]),
    transform_param=(36, _TRANSFORM),
    tanh_param=(37, _TANH),
    sigmoid_param=(38, _SIGMOID),
    softmax_param=(39, _SOFTMAX),
)

NET = Schema(
    name=(1, "text"),
    layers=(2, [V1_LAYER]),
    input=(3, "text*"),
    input_dim=(4, "int*"),
    state=(6, _STATE),
    input_shape=(8, [BLOB_SHAPE]),
    layer=(100, [LAYER]),
)
