"""Evaluate a checkpoint by the protocol of its benchmark.

    python evaluate.py --checkpoint runs/ccp_eop_kway_f1/last.pt
    python evaluate.py --checkpoint data/pretrained_model/atr_kwf1.pth --dataset atr --fold 1 --way kway

Prints the IoU of each class and the summary, and writes results.json (and pictures) beside the checkpoint or
under --output.
"""

from engine.settings import EvaluateSettings
from utils.config import parse
from utils.errors import UserError, run_cli


def main() -> None:
    """The command line."""
    evaluate(parse(EvaluateSettings, description="Evaluate a checkpoint by the protocol of its benchmark."))


def evaluate(settings: EvaluateSettings) -> None:
    """Evaluate, print the tables, and write results and pictures."""
    # torch takes seconds to import: --help, --dry-run and mistakes need not wait for it
    from dataloaders import catalog
    from dataloaders.oshp_loader import TestEpisodes
    from dataloaders.spec import VAL
    from dataloaders.stages import stage_spec
    from engine import evaluation, report
    from engine.checkpoint import check_novel, is_foreign, open_for_evaluation, output_folder, use_bank
    from networks.fast.folding import fold_batch_norm
    from utils import distributed
    from utils.device import choose_device, resolve_amp, tune

    local_rank = distributed.start()
    checkpoint = open_for_evaluation(settings)
    full_spec = catalog.load(settings.dataset)
    spec = stage_spec(full_spec, checkpoint.stage)
    foreign = is_foreign(settings, checkpoint)
    if checkpoint.num_slots != spec.num_slots and not foreign:
        raise UserError(
            f"{settings.checkpoint}: trained with {checkpoint.num_slots} labels, and {settings.dataset} has "
            f"{spec.num_slots} now; put its labels back, or train anew"
        )
    check_novel(settings, checkpoint, [spec.class_name(c) for c in spec.novel(settings.fold)])
    device = choose_device(settings.device, local_rank)
    network = checkpoint.build().to(device)
    network.refine = network.refine and settings.refine
    fold_batch_norm(network)
    tune(network, device, settings.channels_last, settings.compile)
    longest = settings.test_size if settings.test_size >= 0 else checkpoint.test_size
    root = catalog.locate(full_spec, settings.data_root)
    episodes = TestEpisodes(
        full_spec, root, way=network.way, stage=checkpoint.stage, longest=longest, split=settings.split
    )
    amp = resolve_amp(settings.amp, device)
    folder, bank = output_folder(settings, checkpoint), use_bank(settings, checkpoint)
    prototypes = "blended with the bank" if bank else "the support's alone"
    pairs = f"{len(episodes.pairs)} pairs of {spec.title}'s {settings.split} list, fold {settings.fold}, {network.way}"
    distributed.say(*checkpoint.notes, f"{pairs}; prototypes: {prototypes}")
    if foreign:
        distributed.say("another data set than the checkpoint's: no class of it has been trained on")
    distributed.say(*episodes.list.notes())
    if settings.split == VAL and not checkpoint.record.get("held_out"):
        distributed.say("this checkpoint may have been trained on the validation photos too")
    shown = report.evenly_spaced(len(episodes.pairs), settings.save_pictures)
    scored = evaluation.evaluate(
        network,
        episodes,
        spec.base_classes(settings.fold),
        device,
        use_bank=bank,
        with_agm=settings.agm,
        amp=amp,
        workers=settings.workers,
        keep=shown,
    )
    if distributed.rank() == 0:
        report.write_report(folder / "results.json", scored, episodes, settings, checkpoint, bank, amp)
    report.save_pictures(folder / "pictures", episodes, scored.predictions, shown)


if __name__ == "__main__":
    run_cli(main)
