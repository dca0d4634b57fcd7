from tortoise import migrations
from tortoise.migrations import operations as ops
from licentia.storage.fields import InstantField
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('licentia', '0003_past_leases_by_length')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Connection',
            fields=[
                ('name', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ('settings', fields.TextField(unique=False)),
                ('changed_at', InstantField()),
            ],
            options={'table': 'connection', 'app': 'licentia', 'pk_attr': 'name', 'table_description': 'A connection that was added while the server ran. `settings` is JSON, encrypted, as it has secrets in it.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Delivery',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('connection', fields.CharField(max_length=32)),
                ('key', fields.CharField(max_length=64)),
                ('way', fields.CharField(max_length=16)),
                ('method', fields.CharField(max_length=16)),
                ('url', fields.TextField(unique=False)),
                ('headers', fields.TextField(unique=False)),
                ('body', fields.BinaryField()),
                ('pointer', fields.TextField(unique=False)),
                ('received_at', InstantField()),
                ('state', fields.CharField(default='waiting', max_length=16)),
                ('due_at', InstantField(null=True)),
                ('attempts', fields.IntField(default=0)),
                ('awaits', fields.CharField(null=True, max_length=64)),
                ('results', fields.TextField(unique=False)),
                ('problem', fields.TextField(null=True, unique=False)),
            ],
            options={'table': 'delivery', 'app': 'licentia', 'unique_together': (('connection', 'key'),), 'indexes': [Index(fields=['state', 'due_at']), Index(fields=['connection', 'received_at']), Index(fields=['connection', 'awaits'])], 'pk_attr': 'id', 'table_description': "What a connection received, once per `key`, a hash of the system's own id of it."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='DeliveryOrder',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('connection', fields.CharField(max_length=32)),
                ('order_number', fields.CharField(max_length=64)),
                ('delivery_id', fields.CharField(max_length=64)),
            ],
            options={'table': 'delivery_order', 'app': 'licentia', 'unique_together': (('connection', 'order_number', 'delivery_id'),), 'pk_attr': 'id', 'table_description': 'Which orders a delivery is about.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OrderEvent',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('source', fields.CharField(max_length=64)),
                ('order_number', fields.CharField(max_length=64)),
                ('chain', fields.IntField()),
                ('seq', fields.BigIntField()),
            ],
            options={'table': 'order_event', 'app': 'licentia', 'indexes': [Index(fields=['source', 'order_number'])], 'pk_attr': 'id', 'table_description': 'Which events are about an order.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OrderReference',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('connection', fields.CharField(max_length=32)),
                ('number', fields.CharField(max_length=64)),
                ('order_number', fields.CharField(max_length=64)),
            ],
            options={'table': 'order_reference', 'app': 'licentia', 'unique_together': (('connection', 'number'),), 'pk_attr': 'id', 'table_description': 'Another number by which a connection names an order: of its subscription, of a renewal, of a return.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Poll',
            fields=[
                ('connection', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ('cursor', fields.TextField(unique=False)),
                ('due_at', InstantField()),
                ('attempts', fields.IntField(default=0)),
                ('polled_at', InstantField(null=True)),
                ('problem', fields.TextField(null=True, unique=False)),
            ],
            options={'table': 'poll', 'app': 'licentia', 'pk_attr': 'connection', 'table_description': 'How far a connection has been asked for what is new.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SkuMapping',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('connection', fields.CharField(max_length=32)),
                ('article', fields.CharField(max_length=200)),
                ('options', fields.TextField(unique=False)),
                ('sku', fields.CharField(null=True, max_length=64)),
                ('factor', fields.IntField()),
                ('changed_at', InstantField()),
            ],
            options={'table': 'sku_mapping', 'app': 'licentia', 'indexes': [Index(fields=['connection', 'article'])], 'pk_attr': 'id', 'table_description': 'What an article of a connection is sold as: so many of a product per piece, or nothing where that is null.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SourceOrder',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('connection', fields.CharField(max_length=32)),
                ('order_number', fields.CharField(max_length=64)),
                ('ledger', fields.TextField(unique=False)),
            ],
            options={'table': 'source_order', 'app': 'licentia', 'unique_together': (('connection', 'order_number'),), 'pk_attr': 'id', 'table_description': 'What a connection has told about an order so far: `ledger` is the JSON of `licentia.domain.ledger.Ledger`.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='WriteBack',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('connection', fields.CharField(max_length=32)),
                ('order_number', fields.CharField(max_length=64)),
                ('outcome', fields.TextField(unique=False)),
                ('state', fields.CharField(max_length=16)),
                ('due_at', InstantField(null=True)),
                ('attempts', fields.IntField(default=0)),
                ('written_at', InstantField(null=True)),
                ('problem', fields.TextField(null=True, unique=False)),
            ],
            options={'table': 'write_back', 'app': 'licentia', 'unique_together': (('connection', 'order_number'),), 'indexes': [Index(fields=['state', 'due_at'])], 'pk_attr': 'id', 'table_description': 'What a connection is to be told of an order: the newest `outcome`, as JSON.'},
            bases=['Model'],
        ),
    ]
