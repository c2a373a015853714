// All kernels, in one unit that is compiled for each variant and number type: -DVARIANT=v3 -DREAL_BITS=32.
#include "products.h"
#include "real.h"

#include "gather.c"
#include "affine.c"
#include "activations.c"
#include "arithmetic.c"
#include "losses.c"
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
    KERNEL(matmul), KERNEL(matmul_by_transposed), KERNEL(transposed_matmul), KERNEL(add_bias), KERNEL(bias_gradient),
    OF_ACTIVATION(relu, relu), OF_ACTIVATION(leaky_relu, leaky_relu), OF_ACTIVATION(elu, elu),
    OF_ACTIVATION(gelu, gelu), OF_ACTIVATION(gelu_tanh, gelu_tanh), OF_ACTIVATION(silu, silu),
    OF_ACTIVATION(softplus, softplus), OF_ACTIVATION(sigmoid, sigmoid), OF_ACTIVATION(tanh, tanh_layer),
    KERNEL(add), KERNEL(copy), KERNEL(accumulate), KERNEL(accumulate_matrix), KERNEL(accumulate_vector),
    KERNEL(scale_columns),
    KERNEL(softmax_cross_entropy), KERNEL(mean_squared_error), KERNEL(mean_absolute_error),
    KERNEL(huber), KERNEL(sigmoid_cross_entropy), KERNEL(weighted_softmax_cross_entropy),
    KERNEL(softmax_cross_entropy_of_distributions), KERNEL(weighted_mean_squared_error),
    KERNEL(weighted_mean_absolute_error), KERNEL(weighted_huber), KERNEL(weighted_sigmoid_cross_entropy),
    KERNEL(total_of_labels), KERNEL(total_of_distributions), KERNEL(total_of_weights),
    KERNEL(count_right_classes), KERNEL(count_likeliest_classes), KERNEL(count_right_labels),
    KERNEL(stop_unless_finite), KERNEL(gradient_norm), KERNEL(sgd), KERNEL(momentum), KERNEL(nesterov),
    KERNEL(adagrad), KERNEL(rmsprop), KERNEL(adam),
    {0, 0},
};
