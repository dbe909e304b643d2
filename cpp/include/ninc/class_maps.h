// One map a class: what a network's global average pooling averages into the class's score.
//
// Where pooling gives the output, these are its inputs (Lin, Chen, Yan 2013, section 3.2). Where
// one linear layer follows it, sums may be exchanged (CAM; Zhou et al. 2016, equation 2):
//
//     score(c) = bias(c) + sum_k weight(c, k) * mean of f(k)  =  mean of m(c),
//     m(c, i, j) = bias(c) + sum_k weight(c, k) * f(k, i, j)
//
// Dropout, Flatten and a Softmax at the end are passed over. InvalidArgument for other networks.
#pragma once

#include "ninc/export.h"
#include "ninc/model.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// N×classes×H'×W' for an input of this shape.
NINC_API Result<Shape> ClassMapsShape(Model& model, const Shape& input);

// maps: ClassMapsShape(...).size() floats, contiguous N×classes×H'×W'. x: as for Model::Run.
NINC_API Status ClassMaps(Model& model, const Shape& input, const StridedView& x, float* maps);

}  // namespace ninc
