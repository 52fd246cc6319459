"""An export that has to be refused, and heads fitted without training."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from kerastl.deploy.exporting import export
from kerastl.errors import InputError
from kerastl.models.factories import head_names
from kerastl.models.spec import spec_of


def contents(folder):
    """All that lies in a folder, hidden files too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(model, folder, formats, match, **given):
    """The export is one clear sentence, and the folder is what it was."""
    before = contents(folder)
    with pytest.raises(InputError, match=match) as error:
        export(model, folder, formats, latency=False, **given)
    assert contents(folder) == before
    return str(error.value)


def fitted(model, images, labels):
    """The same network, its heads fitted by logistic regression on its features."""
    spec = spec_of(model)
    body = keras.Model(model.input, model.get_layer(spec.features).output)
    features = body.predict(images, verbose=0)
    mean, scale = features.mean(0), features.std()
    for task, head in zip(spec.tasks, head_names(spec.tasks), strict=True):
        known = labels[task.name].ravel().astype(int)
        found = LogisticRegression(C=0.001).fit((features - mean) / scale, known)
        kernel, bias = found.coef_.T / scale, found.intercept_ - mean @ (found.coef_.T / scale)
        if task.units == 2:
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
        model.get_layer(head).set_weights([kernel, bias])
    return model
