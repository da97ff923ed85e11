"""A plan inside other training loops: one module for each framework, imported by itself.

`schedplan.adapters.torch.PlanScheduler` is a learning-rate scheduler for loops of one's own,
`schedplan.adapters.lightning.PlanCallback` and `schedplan.adapters.transformers.PlanCallback` are
callbacks for the trainers of Lightning and of Hugging Face. A loop in any other framework asks
`Plan.params_at(epoch)` in each of its epochs.
"""
