from tortoise import migrations
from tortoise.migrations import operations as ops
from licentia.storage.fields import InstantField
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('licentia', '0005_webhooks')]

    initial = False

    operations = [
        ops.CreateModel(
            name='OrderImport',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('connection', fields.CharField(max_length=32)),
                ('file', fields.CharField(max_length=255)),
                ('place', fields.IntField()),
                ('tally', fields.TextField(unique=False)),
                ('started_at', InstantField()),
                ('changed_at', InstantField()),
                ('ended_at', InstantField(null=True)),
            ],
            options={'table': 'order_import', 'app': 'licentia', 'pk_attr': 'id', 'table_description': 'How far a file of orders was read in. `id` hashes the file, its connection and that one\'s settings.'},
            bases=['Model'],
        ),
    ]
