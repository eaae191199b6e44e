#!/bin/sh
# mutants.sh — tests of the tests: breaks a copy of the code in one known way at a time; the test program named
# beside the change must then fail. A mutant that survives is a hole in the tests.
tree=build/mutants
mkdir -p $tree
rm -rf $tree/common $tree/chapters $tree/tests
cp -a Makefile common chapters tests plots $tree/ || exit 1
survived=0 killed=0

# mutant FILE TEST OLD NEW — OLD and NEW are plain text, OLD stands once in FILE
mutant() {
    file=$1 test=$2
    export OLD="$3" NEW="$4"
    cp -a "$file" $tree/"$file"
    perl -0pi -e 'BEGIN { $n = 0 } $n += s/\Q$ENV{OLD}\E/$ENV{NEW}/; END { exit 3 if !$n }' $tree/"$file" ||
        { echo "$file no longer holds: $3"; survived=$((survived + 1)); return; }
    if ! make -s -C $tree build/tests/"$test" >$tree/log 2>&1; then
        echo "does not compile: $file: $4"
        survived=$((survived + 1))
    elif (cd $tree && BUILD=build sh tests/run.sh some build/tests/"$test") >$tree/log 2>&1; then
        echo "SURVIVED $test: $file: $3 -> $4"
        survived=$((survived + 1))
    else
        echo "killed by $test: $file: $3 -> $4"
        killed=$((killed + 1))
    fi
    cp -a "$file" $tree/"$file"
    touch $tree/"$file"
}

for test in $(sed -n 's/^mutant [^ ]* \([a-z_]*-[a-z]*\) .*/\1/p' "$0" | sort -u); do
    make -s -C $tree build/tests/"$test" && (cd $tree && BUILD=build sh tests/run.sh some build/tests/"$test") >$tree/log 2>&1 ||
        { echo "mutants: $test fails before anything is broken"; exit 1; }
done

mutant common/tensor/ops_loss.c grad-double 'scale = 2 * y->g[0]' 'scale = y->g[0]'
mutant common/tensor/ops_matrix.c grad-double 'if (db) k_sum_axis(1, rows, out,' 'if (db) k_sum_axis(1, rows - 1, out,'
mutant common/tensor/ops_shape.c grad-double 'if (!add) k_fill(x->len, 0, dx);' ''
mutant common/tensor/ops_conv.c grad-double 'if (dx) k_upsample2(s[0], s[1], s[2], s[3], (real)0.25' 'if (dx) k_upsample2(s[0], s[1], s[2], s[3], (real)0.24999'
mutant common/tensor/ops_norm.c grad-double 'y->saved + B * groups, y->g' 'y->saved + B * groups - 1, y->g'
mutant common/tensor/ops_reduce.c tensor-float 'y->arg[0] = 1 / (real)s.n;' 'y->arg[0] = 1 / (real)(s.n + 1);'
mutant common/tensor/tape.c grad-double '*add = x->has_grad;' '*add = false;'
mutant common/tensor/tape.c tensor-float 'if (y->g) arena_give_back(&y->tape->values, y->g, y->len * sizeof(real));' ''
mutant common/tensor/values.c tensor-float 'if (!x->readers) give_back(x);' 'if (!x->readers || !may_redo) give_back(x);'
mutant common/tensor/values.c tensor-float 'if (y->view_of) y->x' 'if (y->handle_of) y->x'
mutant common/tensor/values.c steps-float 'may_redo && can_redo(x)' 'false'
mutant common/tensor/values.c steps-float '    count_reader(y->in[i], -1);' ''
mutant common/tensor/arena.c tensor-float 'if (before) join_with_next(before);' ''
mutant common/nn/optim.c nn-double 'bias_correction(o->beta2, o->step)' 'bias_correction(o->beta2, o->step + 1)'
mutant common/kernels/gemm.c kernels-float '(k + K_BLOCK - 1) / K_BLOCK' '(k + K_BLOCK - 2) / K_BLOCK'
mutant common/kernels/nearest.c kernels-float '(real)(-square / 2)' '(real)(-square)'
mutant common/kernels/nearest.c kernels-float 'start + i] = first' 'i] = first'
mutant common/nn/codebook.c codebook-double '+ K * c->eps) * total' '+ K * c->eps)'
mutant common/nn/codebook.c codebook-double 'q.codes = t_straight_through(fixed, z);' 'q.codes = fixed;'
mutant common/nn/codebook.c codebook-double 'q.commitment_loss = t_mse(z, fixed);' 'q.commitment_loss = t_mse(z, e);'
mutant common/kernels/conv.c conv-float 'shift = (r0 + pad) / stride' 'shift = r0 / stride'
mutant common/kernels/winograd_plan.c conv-float 'most(read - border, least(read, reach(&p->in, columns)))' 'least(read, reach(&p->in, columns))'
mutant common/kernels/winograd_plan.c conv-float 'last + (low_of(h) - low) * stride' 'last'
mutant common/kernels/winograd_tile.c conv-float '*to_far += vset((real)power_far)' '*to_far += vset((real)1.0001 * (real)power_far)'
mutant common/kernels/winograd.c conv-float 'du + f * plane, first > 0)' 'du + f * plane, false)'
mutant common/text/bpe.c bpe-float 'merged || fresh ?' 'fresh ?'
mutant common/text/bpe.c bpe-float 'b->byte[1][(uint8_t)w.text[s->n - 1]]' 'b->byte[0][(uint8_t)w.text[s->n - 1]]'
mutant common/text/words.c bpe-float 'return n > last ? n - last : n;' 'return n;'
mutant common/text/words.c bpe-float "cased && !cased_follows(" "!cased_follows("
mutant common/text/bpe_train.c bpe-float 'if (best.count < 2) break;' 'if (best.count < 1) break;'
mutant common/data/wardrobe.c wardrobe-float 'scene_held_out(s) != wanted ||' 'false ||'
mutant common/data/wardrobe.c wardrobe-float '[PART_VALIDATION] = &data->validation' '[PART_VALIDATION] = &data->train'
mutant common/data/wardrobe_caption.c wardrobe-float '[ABOVE] = BELOW, [BELOW] = ABOVE' '[ABOVE] = ABOVE, [BELOW] = BELOW'
mutant common/data/wardrobe_draw.c wardrobe-float 'if (!a || i < 0' 'if (i < 0'
mutant common/kernels/simd.h functions-float 'TERMS(88.7228, 709.7827)' 'TERMS(88.722839, 709.782712893384)'
mutant common/tensor/params.c tensor-float 'rng_new(s.params->seed, w->name)' 'rng_new(s.params->seed, "same")'
mutant common/data/gsub.c emoji-float 'l->count >= n' 'l->count > n'
mutant common/data/emoji_names.c emoji-float 'code == 0x2640 || ' ''
mutant common/data/emoji.c emoji-float 'enum { NEARLY = 13 }' 'enum { NEARLY = 9 }'
mutant common/data/emoji.c emoji-float 'count && made_from(c, s)' 'count'
mutant common/data/folder.c folder-float 'return e->hash != f->hash ?' 'return e->line != f->line ? e->line - f->line : e->hash != f->hash ?'
mutant common/io/picture.c io-float 'put_big_endian(&p, 4, number++);' 'put_big_endian(&p, 4, number);'
mutant common/io/picture.c io-float 'f.frames - 1 ? f.seconds' 'f.frames ? f.seconds'
mutant common/data/picture_decode.c folder-float '255 * (255 - a)' '0'
mutant common/eval/frechet.c eval-double 'g.covariance[j] /= n - 1' 'g.covariance[j] /= n'
mutant common/eval/frechet.c eval-double '- 2 * trace_of_root' '- 1.99999 * trace_of_root'
mutant common/eval/measures.c eval-double 'if (!others || j != i + r) sum' 'sum'
mutant common/eval/measures.c eval-double 'sum / n - marginal * log(marginal)' 'sum / n'
mutant common/eval/likelihood.c eval-double 'log(levels / (high - low))' 'log(levels)'
mutant common/eval/precision_recall.c eval-double 'row[j + r] = (real)INFINITY;' ''
mutant common/eval/precision_recall.c eval-double 'recalled[i] |= in_y' 'recalled[i] |= in_x'
mutant chapters/gan/gan.c gan-double '1.0 / (k + 1)' '0.1'
mutant chapters/gan/gan.c gan-double 'generator(g, noise, y, false)' 'generator(g, noise, y, true)'
mutant chapters/gan/gan.c gan-double 'return t_scale(neg_log_not_d(on_fake), -1);' 'return neg_log_d(on_fake);'
mutant chapters/gan/networks.c gan-double 'dropout(d, h, 0.5, training)' 'h'
mutant chapters/gan/spectral_norm.c gan-double 'if (training) left_vector' 'if (!training) left_vector'
mutant chapters/gan/spectral_norm.c gan-double 't_div(w, sigma_of(n, w, training))' 't_div(w, t_detach(sigma_of(n, w, training)))'
mutant chapters/dae_mae/dae.c dae_mae-double 'if (!*chosen) return x;' 'if (!*chosen) return kind == MASKING ? x / (1 - level) : x;'
mutant chapters/dae_mae/dae.c dae_mae-double 'reconstruction_loss(logits, clean, chosen->x' 'reconstruction_loss(logits, corrupted, chosen->x'
mutant chapters/dae_mae/dae.c dae_mae-double 't_use(h->tape, d->w)' 't_detach(t_use(h->tape, d->w))'
mutant chapters/dae_mae/dae.c dae_mae-double '!= 0 ? alpha : beta' '!= 0 ? beta : alpha'
mutant chapters/dae_mae/experiments/toy_score.c dae_mae-double 't_mse(reconstruction(d, noisy), x)' 't_mse(reconstruction(d, noisy), noisy)'
mutant chapters/dae_mae/experiments/toy_score.c dae_mae-double 'if (!resample) continue;' '(void)resample; continue;'
mutant chapters/dae_mae/mae.c dae_mae-double 'int place = m->restore[b * N + i];' 'int place = m->shuffle[b * N + i];'
mutant chapters/dae_mae/mae.c dae_mae-double 'rows_of(prediction->tape, m, m->keep, m->patches)' 'rows_of(prediction->tape, m, 0, m->patches - m->keep)'
mutant chapters/dae_mae/mae.c dae_mae-double 'argsort(N, noise + b * N, shuffle)' 'argsort(N, noise, shuffle)'
mutant chapters/dae_mae/mae.c dae_mae-double '1.0 / (K - 1)' '1.0 / K'
mutant chapters/dae_mae/mae.c dae_mae-double 'int column = place % grid, line = place / grid' 'int line = place % grid, column = place / grid'
mutant chapters/dae_mae/mae.c dae_mae-double 'rows[i] = 1 + rows[i] % m->patches' 'rows[i] = 1 + i % m->keep'
mutant chapters/dae_mae/mae.c dae_mae-double '(double)p[j] * deviation + mean' '(double)p[j] + mean'
mutant chapters/dae_mae/mae.c dae_mae-double 's->depth * tokens * (' 's->depth * patches * ('
mutant chapters/dae_mae/mae.c dae_mae-double 'init_xavier_uniform(e.patch_embed.w, patch_numbers(&shape), width, p->seed);' ''
mutant chapters/dae_mae/augment.c dae_mae-double 'j : side - 1 - j' 'j : j'
mutant chapters/dae_mae/experiments/probe.c dae_mae-double '(real)(1 / sqrt(variance + 1e-6))' '1'
mutant chapters/dae_mae/experiments/finetune.c dae_mae-double 'taken[class] < labels / CLASSES' 'n < labels'
mutant common/nn/time_embedding.c unet-double 'steps = sines_first ? half - 1 : half' 'steps = half'
mutant common/nn/unet_blocks.c official-double 't_add_scalar(t_slice(emb, 1, 0, C), 1)' 't_slice(emb, 1, 0, C)'
mutant common/nn/unet.c official-double 'h = t_concat(h, skips[--n], -1)' 'h = t_concat(skips[--n], h, -1)'
mutant common/diffusion/noise_schedule.c diffusion-double 'size = T / parts + (k < T % parts)' 'size = T / parts'
mutant common/diffusion/noise_schedule.c diffusion-double 's = filled(s, end);' 's = filled(s, 1);'
mutant common/diffusion/noise_schedule.c diffusion-double 's.time[i] = from->time[steps[i]]' 's.time[i] = i'
mutant common/diffusion/gaussian.c diffusion-double 'v == FIXED_LARGE && t > 0' 'v == FIXED_LARGE'
mutant common/diffusion/losses.c diffusion-double 't_detach(predicted)' 'predicted'
mutant common/diffusion/losses.c diffusion-double 'time[b] = s->time[t[b]]' 'time[b] = t[b]'
mutant common/diffusion/losses.c diffusion-double 'k_clamp(n, q.x0, -1, 1, q.x0);' ''
mutant common/diffusion/denoiser.c sampling-double 'k_clamp(p.n, p.x0, -1, 1, p.x0);' ''
mutant common/diffusion/denoiser.c sampling-double 'time[i] = at->schedule->time[at->t]' 'time[i] = at->t'
mutant common/diffusion/guidance.c sampling-double '1 - g->scale' '1'
mutant common/diffusion/guidance.c sampling-double 'if (p.score) k_axpy' 'if (!p.score) k_axpy'
mutant common/diffusion/guidance.c sampling-double 'i < at->n && !at->lookahead' 'i < at->n'
mutant common/diffusion/sampler.c sampling-double 'if (t == 0) return;' 'if (t == 0) z = x;'
mutant common/diffusion/sampler.c sampling-double 'sampling_noise(m->seed, first + i, m->schedule' 'sampling_noise(m->seed, i, m->schedule'
mutant common/diffusion/sampler.c sampling-double 'exp(log_variance) * (double)p->score[i]' '(double)p->score[i]'
mutant common/diffusion/sampler.c sampling-double 'scale, p->score, p->x0);' '-scale, p->score, p->x0);'
mutant common/diffusion/sampler.c sampling-double '5. / 12' '6. / 12'
mutant common/diffusion/sampler.c sampling-double 'at->t != h->next_t ||' ''
mutant common/diffusion/bound.c sampling-double 'm->seed + 1' 'm->seed'
mutant chapters/ddpm/ddpm.c ddpm-double 'some.step[i] = i' '(void)some'
mutant chapters/ddpm/ddpm.c ddpm-double 'NOISE_OF_B, size' 'NOISE_OF_A, size'
mutant chapters/iddpm/iddpm.c iddpm-double 'm->label + at->first' 'm->label'
mutant common/nn/unet_blocks.c unet-double 'context.mask + r / N * M' 'context.mask'
mutant common/nn/unet_blocks.c official-double 'k = t_concat(t_slice(kv, 2, 0, C)' 'k = t_concat(t_slice(kv, 2, C, C)'
mutant common/nn/spatial_transformer.c official-double 'style->groups, 1e-6' 'style->groups, 1e-3'
mutant common/nn/unet_classifier.c official-double 't_slice(h, 1, 0, 1)' 't_slice(h, 1, 1, 1)'
mutant common/nn/text_transformer.c unet_parts-double 'mask[i] ? 0 : 1' '1'
mutant common/nn/resize.c unet_parts-double '* from / to - 0.5' '* from / to'
mutant common/nn/unet_official.c published-double '&& !u->qkv_first' ''
mutant common/nn/unet_official.c official-double 'at->parts = kv ? 2 : 3' 'at->parts = 3'
mutant common/nn/unet.c published-double 'if (l == c->levels - 1) break;' ''
mutant chapters/ddpm/ddpm.c ddpm-double 'if (t > 0) k_axpy' 'k_axpy'
mutant chapters/ddpm/ddpm.c ddpm-double 'sampling_noise(m->seed, first + i, t,' 'sampling_noise(m->seed, i, t,'
mutant chapters/iddpm/iddpm.c iddpm-double 't_detach(predicted)' 'predicted'
mutant chapters/iddpm/iddpm.c iddpm-double 'size = T / parts + (k < T % parts)' 'size = T / parts'
mutant chapters/iddpm/iddpm.c iddpm-double 'weight[i] = sum * (k + 1) / T' 'weight[i] = sum / T'
mutant chapters/iddpm/iddpm.c iddpm-double '.signal = (B * square_of_all - b * square)' '.signal = (B * square_of_all - square)'
mutant chapters/iddpm/iddpm.c iddpm-double '1 / (s->T * p[t[b]])' '1'
mutant chapters/vqvae/prior.c vqvae-double 'Tensor *v = moved(embedded, 1)' 'Tensor *v = embedded'
mutant chapters/vqvae/prior.c vqvae-double 't_add(conv2d(&l->horizontal, h), linear(&l->across, v_sum));' 'conv2d(&l->horizontal, h);'
mutant chapters/vqvae/prior.c vqvae-double 'feature_map_put(&c->v[k + 1], gated(l, v_sum, c->labels), i, 0);' ''
mutant chapters/vqvae/vqvae.c vqvae-double 't_scale(q->commitment_loss, beta)' 'q->commitment_loss'
mutant chapters/vqvae/vqvae.c vqvae-double 'inside = -log(-expm1(-1 / scale))' 'inside = 0'
mutant chapters/vqvae2/vqvae2.c vqvae2-double 'decoder(&v->dec_t, top)' 'decoder(&v->dec_t, t_detach(top))'
mutant chapters/vqvae2/vqvae2.c vqvae2-double 'if (e->top.codes) commitment = t_add(commitment, e->top.commitment_loss);' ''
mutant chapters/vqvae2/vqvae2.c vqvae2-double '(double)book->cluster_size->x[k] * (double)book' '(double)book'
mutant chapters/vqvae2/pixelsnail.c vqvae2-double 'column < k / 2;' 'column <= k / 2;'
mutant chapters/vqvae2/pixelsnail.c vqvae2-double 'i % N < i / N' 'i % N <= i / N'
mutant chapters/vqvae2/pixelsnail.c vqvae2-double 't_pad(x, axis, 1, 0)' 't_pad(x, axis, 0, 1)'
mutant chapters/vqvae2/pixelsnail.c vqvae2-double '(size_t)s->position * in, n * in, false)' '(size_t)(s->position / 2) * in, n * in, false)'
mutant chapters/vqvae2/pixelsnail.c vqvae2-double '[best]) / temperature)' '[best]))'
mutant chapters/vqvae2/pixelsnail.c vqvae2-double 'return y ? t_add_channel(y, class)' 'return y ? y'
mutant chapters/vqvae2/pictures.c vqvae2-double '(i * side + border) * side + border' '(i * side + border) * side'

echo "$killed mutants killed, $survived survived"
[ $survived = 0 ]
