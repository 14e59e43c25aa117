"""Run by test_data_parallel.py: trains on all visible devices, alone or as one of two processes."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from tiny import tiny_images, tiny_network

from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation
from ablax.training.dataset import InMemory
from ablax.training.loop import Trainer, data_mesh

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if sys.argv[2:]:
        address, number = sys.argv[2:]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, 2, int(number))
    mesh = data_mesh()
    recipe = Recipe(
        augment=Augmentation(flip=True, translate=1.0),
        optimizer=OptimizerConfig(rate=0.05),
        train=TrainConfig(epochs=2, batch=16),
    )
    dataset = InMemory(tiny_images(test=21), 16, mesh)
    trainer = Trainer(tiny_network(), recipe, dataset, mesh)
    state, losses = trainer.initial_state(0), []
    for step in range(0, trainer.total_steps, 3):
        state, figures = trainer.advance(state, 0, step, 3)
        losses += figures.loss.tolist()
    evaluation = trainer.evaluate(state)
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves((state.params, state.batch_stats))]
    images, _, _ = next(dataset.test_batches())
    found = {
        "devices": jax.device_count(),
        "shards": len({shard.device for shard in images.addressable_shards}),
        "shard_shape": images.addressable_shards[0].data.shape,
        "losses": losses,
        "state": jnp.concatenate(leaves).tolist(),
        "test_losses": evaluation.losses.tolist(),
        "predictions": evaluation.predictions.tolist(),
    }
    (folder / f"found{jax.process_index()}.json").write_text(json.dumps(found))
