// All kernels, in one unit that is compiled for each variant and number type: -DVARIANT=v3 -DREAL_BITS=32.
#include "lines.h"
#include "products.h"
#include "real.h"

#include "gather.c"
#include "affine.c"
#include "sparse.c"
#include "activations.c"
#include "arithmetic.c"
#include "dropout.c"
#include "normalization.c"
#include "softmax.c"
#include "embedding.c"
#include "losses.c"
#include "matrices.c"
#include "movement.c"
#include "reductions.c"
#include "updates.c"

#define PASTED(variant, bits) kernels_##variant##_##bits
#define NAME(variant, bits) PASTED(variant, bits)
#define KERNEL(name) {#name, name}
#define OF_ACTIVATION(name, function) \
    {#name, function}, {"bias_" #name, bias_##function}, {"bias_" #name "_kept", bias_##function##_kept}, \
        {#name "_gradient", function##_gradient}

extern const kernel NAME(VARIANT, REAL_BITS)[];
const kernel NAME(VARIANT, REAL_BITS)[] = {
    KERNEL(gather), KERNEL(gather_labels), KERNEL(result), KERNEL(watch),
    KERNEL(matmul), KERNEL(matmul_by_transposed), KERNEL(matmul_of_large), KERNEL(matmul_by_transposed_of_large),
    KERNEL(transposed_matmul), KERNEL(add_bias), KERNEL(bias_gradient),
    KERNEL(sparse_matmul), KERNEL(sparse_transposed_matmul),
    OF_ACTIVATION(relu, relu), OF_ACTIVATION(leaky_relu, leaky_relu), OF_ACTIVATION(elu, elu),
    OF_ACTIVATION(gelu, gelu), OF_ACTIVATION(gelu_tanh, gelu_tanh), OF_ACTIVATION(silu, silu),
    OF_ACTIVATION(softplus, softplus), OF_ACTIVATION(sigmoid, sigmoid), OF_ACTIVATION(tanh, tanh_layer),
    OF_ACTIVATION(negative, negative), OF_ACTIVATION(exp, exp_layer), OF_ACTIVATION(log, log_layer),
    OF_ACTIVATION(sqrt, sqrt_layer),
    KERNEL(copy), KERNEL(accumulate), KERNEL(accumulate_matrix), KERNEL(accumulate_vector),
    KERNEL(add), KERNEL(subtract), KERNEL(multiply), KERNEL(divide), KERNEL(power),
    KERNEL(divisor_gradient), KERNEL(base_gradient), KERNEL(exponent_gradient),
    KERNEL(matrix_product), KERNEL(matrix_gradient), KERNEL(move), KERNEL(add_back),
    KERNEL(sum_axis), KERNEL(spread_axis), KERNEL(max_axis), KERNEL(max_axis_gradient), KERNEL(sum_rows),
    KERNEL(sum_batch), KERNEL(spread_batch),
    KERNEL(dropout), KERNEL(dropout_gradient),
    KERNEL(layer_norm), KERNEL(layer_norm_gradient), KERNEL(layer_norm_parameters),
    KERNEL(batch_norm), KERNEL(batch_norm_predicting), KERNEL(batch_norm_gradient), KERNEL(running_statistics),
    KERNEL(softmax), KERNEL(softmax_gradient), KERNEL(log_softmax), KERNEL(log_softmax_gradient),
    KERNEL(embedding), KERNEL(embedding_gradient),
    KERNEL(softmax_cross_entropy), KERNEL(mean_squared_error), KERNEL(mean_absolute_error),
    KERNEL(half_squared_error), KERNEL(weighted_half_squared_error), KERNEL(quantile), KERNEL(weighted_quantile),
    KERNEL(half_poisson_deviance), KERNEL(weighted_half_poisson_deviance),
    KERNEL(huber), KERNEL(sigmoid_cross_entropy), KERNEL(weighted_softmax_cross_entropy),
    KERNEL(softmax_cross_entropy_of_distributions), KERNEL(weighted_mean_squared_error),
    KERNEL(weighted_mean_absolute_error), KERNEL(weighted_huber), KERNEL(weighted_sigmoid_cross_entropy),
    KERNEL(total_of_labels), KERNEL(total_of_distributions), KERNEL(total_of_weights),
    KERNEL(count_right_classes), KERNEL(count_likeliest_classes), KERNEL(count_right_labels),
    KERNEL(stop_unless_finite), KERNEL(gradient_norm), KERNEL(penalty), KERNEL(sgd), KERNEL(momentum), KERNEL(nesterov),
    KERNEL(adagrad), KERNEL(rmsprop), KERNEL(adam), KERNEL(adam_hat),
    {0, 0},
};
